"""Why a pair would be computed again: how its identity differs from what is stored."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from itm.core.errors import ItmError, StoreError
from itm.core.params import Params
from itm.core.secrets import error_message
from itm.core.types import DataRef, Features, ModelRef
from itm.features.devices import device
from itm.features.extractors import Extractor, extractor_for
from itm.features.identity import Identity, package_versions
from itm.features.own_embeddings import own_embeddings, own_identity
from itm.ranking import scoring
from itm.refresh.records import Refresh
from itm.run.plan import Plan, find_cached
from itm.run.stages import pair_key
from itm.scores import get
from itm.store.feature_file import read_description
from itm.store.files import read_json
from itm.store.layout import Store, file_name

_STORED = re.compile(r"(?P<model>.+)-[0-9a-f]{16}\.parquet")
WORDS = {
    "weights": "weights changed",
    "weights_key": "weights changed",
    "data": "images changed",
    "preprocessing": "preprocessing changed",
    "input_size": "preprocessing changed",
    "factory": "code of its factory changed",
    "architecture": "architecture changed",
    "arguments": "arguments changed",
    "subset": "only some of its images were needed in a race",
}
NO_WEIGHTS = "its weights are not on this machine yet"
OTHER_VERSION = "its stored embeddings are of another version"


class Reasons:
    """Gives the reasons why pairs are stale. Intermediate results are kept for all pairs."""

    def __init__(self, planned: Plan, params: Params, store: Store, last: Refresh | None) -> None:
        self.params, self.store, self.end = params, store, len(planned.stages)
        self.cached = find_cached(planned, params, store)
        self.target = device(params.extract.device)
        self.failed = {
            (place.model, standing.data): place.reason
            for standing in (last.standings if last else ())
            for place in standing.places
            if place.reason
        }
        self._extractors: dict[tuple[str, str], Extractor] = {}
        self._newest: dict[str, dict[str, Path]] = {}
        self._identities, self._last = scoring.identities(params.score), provenance(store)
        self._changes: dict[str, tuple[str, ...]] = {}

    def is_complete(self, model: ModelRef, data: DataRef) -> bool:
        """Return whether all of a pair is stored."""
        return self.cached[pair_key(model, data)][0] == self.end

    def of(self, model: ModelRef, data: DataRef) -> str:
        if self.params.extract.resume == "always":
            return "extract.resume is 'always'"
        features = self.cached[pair_key(model, data)][1].features
        return self._of_scores(model, data, features) if features else self._of_features(model, data)

    def _of_features(self, model: ModelRef, data: DataRef) -> str:
        try:
            now = self._identity(model, data)
        except (ItmError, OSError) as error:
            downloaded = model.pretrained and model.checkpoint is None
            return NO_WEIGHTS if downloaded else f"cannot be used: {error_message(error)}"
        path = self._versions(data.name).get(file_name(model.name))
        if path is None:
            failed = self.failed.get(pair_key(model, data))
            return f"failed last time: {failed}" if failed else "new"
        try:
            _, stored = read_description(path)
        except StoreError:
            return "its stored embeddings are damaged"
        try:
            before = Identity.read(stored)
        except StoreError:
            return OTHER_VERSION
        return ", ".join(dict.fromkeys(_differences(before, now))) or OTHER_VERSION

    def _identity(self, model: ModelRef, data: DataRef) -> Identity:
        if own_embeddings(data.source):
            return own_identity(model.name, data, self.params.score.splits)
        extractor = self._extractors.setdefault((model.name, data.target.kind), extractor_for(model, data))
        return extractor.identity(data, self.params.score.splits, self.params.extract, self.target)

    def _versions(self, data: str) -> Mapping[str, Path]:
        """Return the newest feature file of each model on a data set, by the model's name in files."""
        if data not in self._newest:
            folder = self.store.features(data, "", "").parent
            files = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime) if folder.is_dir() else []
            matches = [(_STORED.fullmatch(path.name), path) for path in files]
            self._newest[data] = {match["model"]: path for match, path in matches if match}
        return self._newest[data]

    def _of_scores(self, model: ModelRef, data: DataRef, features: Features) -> str:
        if failed := self.failed.get(pair_key(model, data)):
            return f"failed last time: {failed}"
        causes: dict[str, None] = {}
        for name, own in self._identities.items():
            if scoring.all_stored(features, {name: own}, self.store, self.params.extract.resume) is None:
                before = self._has_scores(data.name, model.name, name)
                causes |= dict.fromkeys(self._score_changes(name) if before else (f"score {name} is new",))
        return ", ".join(causes) or "its scores were not computed yet"

    def _has_scores(self, data: str, model: str, score: str) -> bool:
        path = self.store.score(data, model, score, "")
        return any(path.parent.glob(f"{path.stem}*.json"))  # one whose name begins the same has no hyphen there

    def _score_changes(self, name: str) -> tuple[str, ...]:
        if name not in self._changes:
            self._changes[name] = tuple(_score_differences(name, self.params, self._last))
        return self._changes[name]


def _differences(before: Identity, now: Identity) -> Iterator[str]:
    """Yield how two identities differ, in words."""
    for field in fields(Identity):
        old, new = getattr(before, field.name), getattr(now, field.name)
        if old == new:
            continue
        if field.name == "packages":
            yield from _packages(old, new)
        else:
            yield WORDS.get(field.name, f"{field.name} {_plain(old)} -> {_plain(new)}")


def _packages(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for package, new in now.items():
        if before.get(package) != new:
            yield f"{package} {before.get(package, 'unknown')} -> {new}"


def _plain(value: Any) -> str:
    return "+".join(map(str, value)) if isinstance(value, tuple) else str(value)


def provenance(store: Store) -> dict[str, Any]:
    """Return the provenance of the last ranking, or nothing if it cannot be read."""
    try:
        return dict(read_json(store.ranking)["provenance"])
    except (StoreError, KeyError, TypeError, ValueError):
        return {}


def _score_differences(name: str, params: Params, last: Mapping[str, Any]) -> Iterator[str]:
    """Yield how a score differs from that of the last ranking, in words."""
    before, now = last.get("params", {}).get("score", {}), params.score
    if before and before.get("options", {}).get(name) != now.options.get(name):
        yield f"scores: options of {name} changed"
    for setting in ("splitting", "folds", "repeats", "seed"):
        if setting in before and before[setting] != getattr(now, setting):
            yield f"scores: {setting} {before[setting]} -> {getattr(now, setting)}"
    new, versions = get(name).info.version, last.get("versions", {}).get("scores", {})
    if isinstance(versions, dict) and (old := versions.get(name, new)) != new:
        yield f"scores: version of {name} {old} -> {new}"
    if known := last.get("packages"):
        yield from (f"scores: {change}" for change in _packages(known, package_versions(scoring.PACKAGES)))
