"""All scores of feature files, each kept under its content key."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from itm.core.errors import ItmError, ScoreError, StoreError
from itm.core.keys import content_key
from itm.core.secrets import told
from itm.core.sections import ScoreParams
from itm.core.types import Failure, Features, Resume, Score
from itm.ranking.batch import Batch, single, splitting
from itm.scores import Evaluation, check_options, get
from itm.store.files import read_json, write_json
from itm.store.layout import Store
from itm.store.mirror import fetch, here, located, publish

log = logging.getLogger(__name__)

SCORES = 3  # raise it when a change of a score changes its values
PACKAGES = ("numpy", "scikit-learn", "scipy", "torch")
DIGITS = 10  # the digits after these depend on how many threads took part in a sum


Scored = tuple[tuple[Score, ...], tuple[Failure, ...]]
Found = Score | Exception


@dataclass(frozen=True)
class _Missing:
    """A score that is not stored yet."""

    path: Path
    key: str


def score(
    features: Features,
    params: ScoreParams,
    store: Store,
    resume: Resume = "only-missing",
    device: str = "cpu",
) -> Scored:
    """Return the scores of one pair, and a failure for each that is undefined on it or cannot be stored.

    Scores that can use an accelerator compute on `device`; what is stored is taken wherever it was computed.
    """
    return score_together([features], params, store, resume, device)[0]


def score_together(
    models: Sequence[Features],
    params: ScoreParams,
    store: Store,
    resume: Resume = "only-missing",
    device: str = "cpu",
) -> list[Scored]:
    """Return for several models of one data set what `score` returns for each of them, computed in one program where it can be.

    What of their embeddings is not mapped from a file is held in memory together, and what scores share one model at a time.
    """
    store = here(store)
    asked = identities(params)
    names = list(asked)
    found = [
        {name: _stored_or_missing(name, own, features, store, resume) for name, own in asked.items()} for features in models
    ]
    batch = Batch(_brought(models, found, store), params, device)
    for name in names:
        if get(name).batched:
            _compute(name, found, batch, list(range(len(models))), store)
    for number in range(len(models)):
        for name in names:
            _compute(name, found, batch, [number], store)
        batch.forget(number)
    return [_scored(features, results) for features, results in zip(models, found, strict=True)]


def identities(params: ScoreParams) -> dict[str, "dict[str, Any] | Exception"]:
    """Return all that could change each score but the features it is of, or why its options cannot be taken."""
    packages = {package: version(package) for package in PACKAGES}
    dealt = asdict(splitting(params))
    found: dict[str, dict[str, Any] | Exception] = {}
    for name in single(params):
        try:
            options = asdict(check_options(name, params.options.get(name)))
        except Exception as error:  # whatever it is, the other scores stand all the same
            found[name] = error
        else:
            found[name] = {"scores": SCORES, "score": name, "options": options, "splitting": dealt, "packages": packages}
    return found


def all_stored(
    features: Features, asked: dict[str, "dict[str, Any] | Exception"], store: Store, resume: Resume
) -> Scored | None:
    """Return the scores of one pair if every one of those that `identities` told is stored."""
    found: dict[str, Found | _Missing] = {}
    for name, own in asked.items():
        one = _stored_or_missing(name, own, features, store, resume)
        if isinstance(one, _Missing) or (isinstance(one, Exception) and not isinstance(one, ScoreError)):
            return None
        found[name] = one
    return _scored(features, found)


def _scored(features: Features, results: dict[str, "Found | _Missing"]) -> Scored:
    failures = []
    for name, one in results.items():
        if isinstance(one, Exception):
            trace = None if isinstance(one, ItmError) else one
            log.error("%s of %s on %s: %s", name, features.model, features.data, told(one), exc_info=trace)
            failures.append(Failure(features.data, features.model, f"score {name}", told(one)))
    return tuple(one for one in results.values() if isinstance(one, Score)), tuple(failures)


def _stored_or_missing(
    name: str,
    identity: dict[str, Any] | Exception,
    features: Features,
    store: Store,
    resume: Resume,
) -> "Found | _Missing":
    if isinstance(identity, Exception):
        return identity
    try:
        identity = identity | {"features": features.key}
        path = store.score(features.data, features.model, name, key := content_key(identity))
        kept = _stored(path, key) if resume != "always" and fetch(store, path) else None
        if kept is not None:
            return ScoreError(kept["undefined"]) if "undefined" in kept else _record(features, name, kept, cached=True)
        if resume == "only-cache":
            raise StoreError("is not stored and resume is 'only-cache'; use 'only-missing'.")
        return _Missing(path, key)
    except Exception as error:  # whatever it is, the other scores and models stand all the same
        return error


def _brought(models: Sequence[Features], found: list[dict[str, "Found | _Missing"]], store: Store) -> list[Features]:
    """Return models with the paths of their files on this machine; what cannot be had fails missing scores."""
    kept = list(models)
    for number, results in enumerate(found):
        if lacking := [name for name, one in results.items() if isinstance(one, _Missing)]:
            try:
                kept[number] = located(kept[number], store)
            except StoreError as error:
                results.update(dict.fromkeys(lacking, error))
    return kept


def _compute(name: str, found: list[dict[str, "Found | _Missing"]], batch: Batch, numbers: list[int], store: Store) -> None:
    """Put a score, or what stands in its way, in the place of each that is missing, and store it."""
    wanted = {number: one for number in numbers if isinstance(one := found[number][name], _Missing)}
    for number, result in batch.evaluate(name, list(wanted)).items():
        try:
            if isinstance(result, ScoreError):  # it would be undefined the next time too
                _keep(wanted[number], {"undefined": str(result)}, store)
            if isinstance(result, Exception):
                raise result
            kept = _plain(*result)
            _keep(wanted[number], kept, store)
            found[number][name] = _record(batch.models[number], name, kept, cached=False)
        except Exception as error:
            found[number][name] = error


def _record(features: Features, name: str, stored: dict[str, Any], cached: bool) -> Score:
    return Score(
        data=features.data,
        data_hash=features.data_hash,
        model=features.model,
        weights=features.weights,
        score=name,
        value=stored["value"],
        draws=tuple(stored["draws"]),
        seconds=stored["seconds"],
        cached=cached,
        details=stored["details"],
    )


def _keep(missing: _Missing, result: dict[str, Any], store: Store) -> None:
    described = result | {"key": missing.key}
    write_json(missing.path, described | {"checksum": content_key(described)})
    publish(store, missing.path)


def _stored(path: Path, key: str) -> dict[str, Any] | None:
    """Return what `_keep` wrote; one whose bytes changed is told of and counts as none."""
    try:
        kept: dict[str, Any] = read_json(path)
        if kept.pop("checksum") != content_key(kept):
            raise ValueError("its checksum does not match")
    except (StoreError, AttributeError, KeyError, TypeError, ValueError) as error:
        log.warning("%s is damaged (%s); computing it again", path, error)
        return None
    return kept if kept["key"] == key else None


def _plain(result: Evaluation, seconds: float) -> dict[str, Any]:
    return {
        "value": _rounded(result.value),
        "draws": [_rounded(value) for value in result.draws],
        "details": {detail: _rounded(value) for detail, value in result.details.items()},
        "seconds": round(seconds, 3),
    }


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
