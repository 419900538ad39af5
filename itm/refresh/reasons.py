"""Why a pair would be computed again: in what its identity differs from that of what is stored."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from itm.core.errors import ItmError, StoreError
from itm.core.params import Params
from itm.core.types import DataRef, Features, ModelRef
from itm.features.devices import device
from itm.features.extract import describe, identity
from itm.ranking import scoring
from itm.refresh.records import Refresh
from itm.run.lookup import look_up, names
from itm.run.plan import Plan
from itm.store.feature_file import read_description
from itm.store.files import read_json
from itm.store.layout import Store, file_name

_STORED = re.compile(r"(?P<model>.+)-[0-9a-f]{16}\.parquet")
WORDS = {
    "weights": "weights changed",
    "data": "images changed",
    "preprocessing": "preprocessing changed",
    "input_size": "preprocessing changed",
    "factory": "code of its factory changed",
    "architecture": "architecture changed",
    "arguments": "arguments changed",
}
NO_WEIGHTS = "its weights are not on this machine yet"


class Reasons:
    """Tells why pairs are stale; what is the same for many of them is found once."""

    def __init__(self, planned: Plan, params: Params, store: Store, last: Refresh | None) -> None:
        self.planned, self.params, self.store, self.found = planned, params, store, look_up(planned, params, store)
        self.target = device(params.extract.device)
        self.failed = {
            (place.model, standing.data): place.reason
            for standing in (last.standings if last else ())
            for place in standing.places
            if place.reason
        }
        self._described: dict[str, dict[str, Any] | str] = {}
        self._newest: dict[str, dict[str, Path]] = {}
        self._asked, self._last = scoring.identities(params.score), provenance(store)
        self._changes: dict[str, tuple[str, ...]] = {}

    def of(self, model: ModelRef, data: DataRef) -> str:
        """Return why a pair would be computed."""
        if self.params.extract.resume == "always":
            return "extract.resume is 'always'"
        features = self.found.features.get(names(model, data))
        return self._of_scores(model, data, features) if features else self._of_features(model, data)

    def _of_features(self, model: ModelRef, data: DataRef) -> str:
        described = self._describe(model)
        if isinstance(described, str):
            return described
        path = self._versions(data.name).get(file_name(model.name))
        failed = self.failed.get(names(model, data))
        if path is None:
            return f"failed last time: {failed}" if failed else "new"
        try:
            _, before = read_description(path)
        except StoreError:
            return "its stored embeddings are damaged"
        now = identity(described, data, self.params.score.splits, self.params.extract, self.target)
        changed = ", ".join(dict.fromkeys(_differences(before, now)))
        return changed or "its stored embeddings are of another version"

    def _describe(self, model: ModelRef) -> dict[str, Any] | str:
        if model.name not in self._described:
            try:
                self._described[model.name] = describe(model)
            except (ItmError, OSError) as error:
                downloaded = model.pretrained and model.checkpoint is None
                self._described[model.name] = NO_WEIGHTS if downloaded else f"cannot be used: {error}"
        return self._described[model.name]

    def _versions(self, data: str) -> Mapping[str, Path]:
        """Return the newest feature file of each model on a data set, by the model's name in files."""
        if data not in self._newest:
            folder = self.store.features(data, "", "").parent
            files = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime) if folder.is_dir() else []
            matches = [(_STORED.fullmatch(path.name), path) for path in files]
            self._newest[data] = {match["model"]: path for match, path in matches if match}
        return self._newest[data]

    def _of_scores(self, model: ModelRef, data: DataRef, features: Features) -> str:
        if failed := self.failed.get(names(model, data)):
            return f"failed last time: {failed}"
        causes: dict[str, None] = {}
        for name, own in self._asked.items():
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


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield in words in what two identities of embeddings differ."""
    for name in now:
        old, new = before.get(name), now[name]
        if old == new:
            continue
        if name == "packages":
            yield from _packages(old or {}, new)
        else:
            yield WORDS.get(name, f"{name} {_plain(old)} -> {_plain(new)}")


def _packages(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for package, new in now.items():
        if before.get(package) != new:
            yield f"{package} {before.get(package, 'unknown')} -> {new}"


def _plain(value: Any) -> str:
    return "+".join(map(str, value)) if isinstance(value, list) else str(value)


def provenance(store: Store) -> dict[str, Any]:
    """Return where the last ranking comes from; it may say why its scores are no longer those that are asked for."""
    try:
        return dict(read_json(store.ranking)["provenance"])
    except (StoreError, KeyError, TypeError, ValueError):
        return {}


def _score_differences(name: str, params: Params, last: Mapping[str, Any]) -> Iterator[str]:
    """Yield in words in what a score differs from what the last ranking asked for."""
    before, now = last.get("params", {}).get("score", {}), params.score
    if before and before.get("options", {}).get(name) != now.options.get(name):
        yield f"scores: options of {name} changed"
    for setting in ("splitting", "folds", "seeds", "seed"):
        if setting in before and before[setting] != getattr(now, setting):
            yield f"scores: {setting} {before[setting]} -> {getattr(now, setting)}"
    if (old := last.get("versions", {}).get("scores", scoring.SCORES)) != scoring.SCORES:
        yield f"scores: version {old} -> {scoring.SCORES}"
    if known := last.get("packages"):
        yield from (f"scores: {change}" for change in _packages(known, _versions()))


@cache
def _versions() -> dict[str, str]:
    return {package: version(package) for package in scoring.PACKAGES}
