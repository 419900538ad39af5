"""The scores of feature files, each cached under its content key."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from itm.core.errors import ScoreError, StoreError, is_expected
from itm.core.keys import content_key
from itm.core.secrets import error_message
from itm.core.sections import ScoreParams
from itm.core.types import Failure, Features, Resume, ScoreValue
from itm.ranking.batch import Batch, reader, single, splitting
from itm.scores import Evaluation, get, make
from itm.store.layout import Store
from itm.store.mirror import local_store, with_local_file
from itm.store.records import RecordStore

log = logging.getLogger(__name__)

PACKAGES = ("numpy", "scikit-learn", "scipy", "torch")
DIGITS = 10  # the digits after these depend on the number of threads that took part in a sum


Scored = tuple[tuple[ScoreValue, ...], tuple[Failure, ...]]
Found = ScoreValue | Exception
Identity = dict[str, Any]
Identities = Mapping[str, Identity | Exception]  # of each score, what its values depend on, or the error in its options


@dataclass(frozen=True)
class _Missing:
    """A score that is not cached."""

    path: Path
    key: str


def score(
    features: Features,
    params: ScoreParams,
    store: Store,
    resume: Resume = "only-missing",
    device: str = "cpu",
) -> Scored:
    """Return the scores of one pair, and a failure for each that is undefined or cannot be stored.

    Scores that can use an accelerator compute on `device`; cached scores are taken wherever they were computed.
    """
    return score_together([features], params, store, resume, device)[0]


def score_together(
    models: Sequence[Features],
    params: ScoreParams,
    store: Store,
    resume: Resume = "only-missing",
    device: str = "cpu",
) -> list[Scored]:
    """Return for several models of one data set what `score` returns for each, computed in one program where possible.

    Embeddings that are not memory-mapped are held for all models at once; what scores share is held for one model at a time.
    """
    store = local_store(store)
    identified = identities(params)
    names = list(identified)
    found = [
        {name: _cached_or_missing(name, own, features, store, resume) for name, own in _of_kind(identified, features).items()}
        for features in models
    ]
    batch = Batch([reader(features, params) for features in _brought(models, found, store)], params, device)
    for name in names:
        if get(name).together:
            _compute(name, found, models, batch, range(len(models)), store)
    for number in range(len(models)):
        for name in names:
            _compute(name, found, models, batch, [number], store)
        batch.forget(number)
    return [_scored(features, results) for features, results in zip(models, found, strict=True)]


def identities(params: ScoreParams) -> Identities:
    """Return for each score all that could change its value except the features, or the error in its options.

    The version is that of the score itself: raising it invalidates the cached values of this score and no other.
    """
    packages = {package: version(package) for package in PACKAGES}
    folds = asdict(splitting(params))
    found: dict[str, Identity | Exception] = {}
    for name in single(params):
        try:
            options = make(name, params.options.get(name)).options.model_dump()
        except Exception as error:  # the other scores do not depend on it
            found[name] = error
        else:
            own = {"score": name, "version": get(name).info.version, "options": options}
            found[name] = own | {"splitting": folds, "packages": packages}
    return found


def _of_kind(identified: Identities, features: Features) -> Identities:
    """Return the part of `identified` with the scores that are defined for the task kind of these features."""
    return {name: own for name, own in identified.items() if features.kind in get(name).info.kinds}


def all_stored(features: Features, identified: Identities, store: Store, resume: Resume) -> Scored | None:
    """Return the scores of one pair if every one in `identified` that is defined for its task kind is cached."""
    found: dict[str, Found | _Missing] = {}
    for name, own in _of_kind(identified, features).items():
        one = _cached_or_missing(name, own, features, store, resume)
        if isinstance(one, _Missing) or (isinstance(one, Exception) and not isinstance(one, ScoreError)):
            return None
        found[name] = one
    return _scored(features, found)


def _scored(features: Features, results: dict[str, "Found | _Missing"]) -> Scored:
    failures = []
    for name, one in results.items():
        if isinstance(one, Exception):
            failures.append(score_failure(name, features.model, features.data, one))
    return tuple(one for one in results.values() if isinstance(one, ScoreValue)), tuple(failures)


def score_failure(name: str, model: str, data: str, error: Exception) -> Failure:
    """Log why a score has no value, and return it as a failure."""
    log.error("%s of %s on %s: %s", name, model, data, error_message(error), exc_info=None if is_expected(error) else error)
    return Failure(data, model, f"score {name}", error_message(error))


def _cached_or_missing(
    name: str, identity: Identity | Exception, features: Features, store: Store, resume: Resume
) -> "Found | _Missing":
    if isinstance(identity, Exception):
        return identity
    try:
        identity = identity | {"features": features.key, "kind": features.kind}
        path = store.score(features.data, features.model, name, key := content_key(identity))
        kept = RecordStore(store).get(path, key) if resume != "always" else None
        if kept is not None:
            return ScoreError(kept["undefined"]) if "undefined" in kept else _record(features, name, kept, cached=True)
        if resume == "only-cache":
            raise StoreError("is not stored and resume is 'only-cache'; use 'only-missing'.")
        return _Missing(path, key)
    except Exception as error:  # the other scores and models do not depend on it
        return error


def _brought(models: Sequence[Features], found: list[dict[str, "Found | _Missing"]], store: Store) -> list[Features]:
    """Return models with the paths of their files on this machine; a file that cannot be fetched fails its missing scores."""
    kept = list(models)
    for number, results in enumerate(found):
        if lacking := [name for name, one in results.items() if isinstance(one, _Missing)]:
            try:
                kept[number] = with_local_file(kept[number], store)
            except StoreError as error:
                results.update(dict.fromkeys(lacking, error))
    return kept


def _compute(
    name: str,
    found: list[dict[str, "Found | _Missing"]],
    models: Sequence[Features],
    batch: Batch,
    numbers: Iterable[int],
    store: Store,
) -> None:
    """Replace a score that is missing for these models by its value or its error, and cache it."""
    wanted = {number: one for number in numbers if isinstance(one := found[number].get(name), _Missing)}
    records = RecordStore(store)
    for number, result in batch.evaluate(name, list(wanted)).items():
        try:
            if isinstance(result, ScoreError):  # it would be undefined the next time too
                records.put(wanted[number].path, wanted[number].key, {"undefined": str(result)})
            if isinstance(result, Exception):
                raise result
            kept = plain(*result)
            records.put(wanted[number].path, wanted[number].key, kept)
            found[number][name] = _record(models[number], name, kept, cached=False)
        except Exception as error:
            found[number][name] = error


def _record(features: Features, name: str, stored: dict[str, Any], cached: bool) -> ScoreValue:
    return ScoreValue(
        data=features.data,
        data_hash=features.data_hash,
        model=features.model,
        weights=features.weights,
        score=name,
        value=stored["value"],
        fold_values=tuple(stored["fold_values"]),
        seconds=stored["seconds"],
        cached=cached,
        details=stored["details"],
        metric=stored["metric"],
        points={target: tuple(map(tuple, own)) for target, own in stored.get("points", {}).items()},
    )


def plain(result: Evaluation, seconds: float) -> dict[str, Any]:
    """Return a result in plain values, rounded to the digits that do not depend on threads."""
    points = {
        target: tuple((_rounded(true), _rounded(predicted)) for true, predicted in own) for target, own in result.points.items()
    }
    return {
        "value": _rounded(result.value),
        "fold_values": [_rounded(value) for value in result.fold_values],
        "details": {detail: _rounded(value) for detail, value in result.details.items()},
        "metric": result.metric,
        "seconds": round(seconds, 3),
    } | ({"points": points} if points else {})


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
