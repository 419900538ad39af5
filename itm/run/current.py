"""Whether the stored ranking is current: nothing that it depends on looks changed, so that it can be printed as it is.

A record next to the ranking has the key of the request and a digest of the states of all files: images and their lists, zoo
and weight files, the code of this package and of plug-ins, and the results themselves. It is read without importing torch, timm
or an orchestrator, and no image is opened.
"""

import hashlib
import logging
import os
import platform
import sys
import time
from collections.abc import Iterable, Iterator
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from itm.core.keys import content_key
from itm.core.params import Params
from itm.core.rankings import Ranking
from itm.core.variants import split_variant
from itm.data.sources.parse import parse_source
from itm.store.hash_cache import SETTLED, FileState, file_state
from itm.store.layout import Store
from itm.store.ranking_file import is_stored, page_path
from itm.store.records import RecordStore
from itm.zoo.packaged import embedded_zoo_file, zoo_path

log = logging.getLogger(__name__)

KEY = "current ranking"
RECORDS = RecordStore()  # not exchanged: paths, times and inodes mean nothing on another machine
EXECUTION = {"runner"}  # the section of the parameters that changes no result
PACKAGES = ("itm", "flows", "tasks")
PLUG_INS = ("itm.sources", "itm.scores")  # groups of entry points
SQLITE, BLOCK = "sqlite:///", "secret:"
VERSIONING = (".dvc/config", ".dvc/config.local")


class Inputs:
    """What a ranking depends on, as it is before a run."""

    def __init__(self, params: Params, store: Store) -> None:
        self.params, self.store, self.began = params, store, time.time_ns()
        self.states = _states(params)

    def unchanged_since(self, command: str) -> bool:
        """Return whether nothing changed since `remember`, as far as names, sizes, times and inodes of files tell."""
        if self.states is None or self.params.extract.resume == "always":
            return False
        try:
            record = RECORDS.get(self.store.current_record(command), KEY)
            if not record or record["request"] != _request(self.params) or not _has_database(self.params, self.store):
                return False
            return bool(_digest([*self.states, *_of(map(Path, record["files"]))]) == record["digest"])
        except Exception as error:  # a file is gone, or the record is damaged
            log.debug("it is unknown whether the ranking is current: %s", error)
            return False

    def remember(self, command: str, ranking: Ranking) -> None:
        """Record that the stored ranking is that of these inputs.

        Nothing is recorded if a pair failed, an image could not be read, or something changed during the run or just before it:
        then the next run has to look again.
        """
        from itm.run.check import has_own_embeddings
        from itm.zoo.load import weights_file
        from itm.zoo.resolve import resolve

        if self.states is None or not _is_final(ranking):
            return
        try:
            plain = self.params.zoo.model_copy(update={"variants": ()})  # variants have no weights of their own
            models = [] if has_own_embeddings(self.params.data) else resolve(plain)[0]
            ranked = {split_variant(row.model)[0] for data in ranking.data_sets for row in data.rows}
            left_out = {one.model for one in ranking.excluded} - ranked  # their weights need not be here
            weights = [weights_file(model) for model in models if model.name not in left_out]
            before = [*self.states, *_of(weights)]
            is_settled = all(state.changed < self.began - SETTLED for _, state in before)
            if is_settled and self.states == _states(self.params) and is_stored(ranking, self.store):
                files = [*weights, *_results(self.params, self.store)]
                payload = {"request": _request(self.params), "files": list(map(str, files))}
                payload["digest"] = _digest([*self.states, *_of(files)])
                RECORDS.put(self.store.current_record(command), KEY, payload)
        except Exception as error:  # the code of plug-ins and factories can raise anything
            log.debug("the next run cannot know whether its ranking is current: %s", error)


def _is_final(ranking: Ranking) -> bool:
    """Return whether computing the ranking again would give the same: nothing failed for a reason that may pass."""
    return not any(
        data.reason or "unreadable" in data.rejected or any(row.failures for row in data.rows) for data in ranking.data_sets
    )


def _request(params: Params) -> str:
    """Return the key of everything but files."""
    named = [text for text in (params.track.uri, params.track.artifacts, params.shared) if text and text.startswith("$")]
    return content_key(
        {
            "folder": str(Path.cwd()),
            "params": params.model_dump(mode="json", exclude=EXECUTION),
            "tracked": params.runner.kind != "inline",
            "variables": {name: os.environ.get(name[1:]) for name in (*named, "$CUDA_VISIBLE_DEVICES")},
            "devices": sorted(map(str, Path("/dev").glob("nvidia[0-9]*"))),  # `auto` takes a GPU where there is one
            "python": platform.python_version(),
            "packages": sorted(_installed()),
        }
    )


def _installed() -> Iterator[str]:
    """Yield the names and versions of all installed packages, as folders have them."""
    for place in filter(Path.is_dir, map(Path, sys.path)):
        yield from (path.name for path in place.iterdir() if path.name.endswith((".dist-info", ".egg-info")))


def _states(params: Params) -> list[tuple[str, FileState]] | None:
    """Return the state of each file that a ranking depends on, except weights, or None if one cannot be looked at."""
    try:
        paths = [*_code(params)]
        for text in params.data.sets:
            source = parse_source(text).source
            times = source.fingerprint()
            if source.is_remote or (times is None and not type(source).__module__.startswith("itm.")):
                return None  # images elsewhere
            paths += map(Path, times or ())
        return [*_of(paths)]
    except Exception as error:  # code of plug-ins can raise anything
        log.debug("it is unknown what the ranking depends on: %s", error)
        return None


def _of(paths: Iterable[Path]) -> Iterator[tuple[str, FileState]]:
    for path in paths:
        yield str(path), file_state(path)


def _code(params: Params) -> Iterator[Path]:
    """Yield the files of this package, of its plug-ins and of the zoo, and the settings of DVC."""
    modules = {entry.module.partition(".")[0] for group in PLUG_INS for entry in entry_points(group=group)}
    for module in sorted({*PACKAGES, *modules}):
        found = find_spec(module)
        if found and found.origin:
            origin = Path(found.origin)
            files = origin.parent.rglob("*.*") if found.submodule_search_locations else [origin]
            yield from (path for path in files if path.suffix != ".pyc")
    yield embedded_zoo_file()
    if params.zoo.file:
        yield zoo_path(params.zoo.file)
    for place in params.zoo.code:
        yield from sorted(place.rglob("*.py")) if place.is_dir() else [place]
    yield from (path for path in map(Path, VERSIONING) if path.exists())


def _results(params: Params, store: Store) -> Iterator[Path]:
    """Yield the files of the ranking that must not be missing."""
    yield from (store.ranking, store.scores, page_path(store))
    for name in (parse_source(text).name for text in params.data.sets):
        yield store.index(name)
        yield from sorted(store.raw(name).rglob("*.*"))
    yield from (path for path in (store.recommended, store.tracked) if path.exists())


def _has_database(params: Params, store: Store) -> bool:
    """Return whether the database of MLflow is there, as far as that is known here. Any use of it changes its state."""
    uri = params.tracking.uri or ""
    uri = os.environ.get(uri[1:], "") if uri.startswith("$") else uri
    if uri.startswith(BLOCK):
        return False  # the block may name another one now
    return not (uri.startswith(SQLITE) and store.tracked.exists()) or Path(uri.removeprefix(SQLITE)).exists()


def _digest(states: Iterable[tuple[Any, FileState]]) -> str:
    found = hashlib.sha256()
    for name, state in states:
        found.update(f"{name}\0{state}\n".encode(errors="surrogateescape"))
    return found.hexdigest()
