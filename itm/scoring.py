"""All scores of feature files, each kept under its content key."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from itm.batch import Batch, single, splitting
from itm.errors import ItmError, ScoreError, StoreError, told
from itm.keys import content_key
from itm.params import ScoreParams
from itm.scores import Evaluation, check_options, get
from itm.store import Store, read_json, write_json
from itm.types import Failure, Features, References, Resume, Score

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
    references: References | None = None,
) -> Scored:
    """Return the scores of one pair, and a failure for each that is undefined on it or cannot be stored.

    Scores that can use an accelerator compute on `device`; what is stored is taken wherever it was computed.
    """
    return score_together([features], params, store, resume, device, [references or References()])[0]


def score_together(
    models: Sequence[Features],
    params: ScoreParams,
    store: Store,
    resume: Resume = "only-missing",
    device: str = "cpu",
    references: Sequence[References] | None = None,
) -> list[Scored]:
    """Return for several models of one data set what `score` returns for each of them, computed in one program where it can be.

    What of their embeddings is not mapped from a file is held in memory together, and what scores share one model at a time.
    """
    references = references or [References()] * len(models)
    names = single(params)
    batch = Batch(models, references, params, device)
    found = [
        {name: _stored_or_missing(name, features, other, params, store, resume) for name in names}
        for features, other in zip(models, references, strict=True)
    ]
    for name in names:
        if get(name).batched:
            _compute(name, found, batch, list(range(len(models))))
    for number in range(len(models)):
        for name in names:
            _compute(name, found, batch, [number])
        batch.forget(number)
    return [_scored(features, results) for features, results in zip(models, found, strict=True)]


def _scored(features: Features, results: dict[str, "Found | _Missing"]) -> Scored:
    failures = []
    for name, one in results.items():
        if isinstance(one, Exception):
            trace = None if isinstance(one, ItmError) else one
            log.error("%s of %s on %s: %s", name, features.model, features.data, told(one), exc_info=trace)
            failures.append(Failure(features.data, features.model, f"score {name}", told(one)))
    return tuple(one for one in results.values() if isinstance(one, Score)), tuple(failures)


def _stored_or_missing(
    name: str, features: Features, references: References, params: ScoreParams, store: Store, resume: Resume
) -> "Found | _Missing":
    try:
        identity = {
            "scores": SCORES,
            "features": features.key,
            "score": name,
            "options": asdict(check_options(name, params.options.get(name))),
            "splitting": asdict(splitting(params)),
            "packages": {package: version(package) for package in PACKAGES},
        }
        if used := {use: _used(name, getattr(references, use)) for use in get(name).uses if getattr(references, use)}:
            identity["references"] = used
        path = store.score(features.data, features.model, name, key := content_key(identity))
        stored = _stored(path, key) if resume != "always" else None
        if stored is not None:
            return _record(features, name, stored, cached=True)
        if resume == "only-cache":
            raise StoreError("is not stored and resume is 'only-cache'; use 'only-missing'.")
        return _Missing(path, key)
    except Exception as error:  # whatever it is, the other scores and models stand all the same
        return error


def _used(name: str, reference: Features | Failure) -> str:
    """Return the key of a feature file that a score compares with."""
    if isinstance(reference, Failure):
        raise ScoreError(f"{name} is to compare with {reference.model} on {reference.data}, which failed: {reference.reason}")
    return reference.key


def _compute(name: str, found: list[dict[str, "Found | _Missing"]], batch: Batch, numbers: list[int]) -> None:
    """Put a score, or what stands in its way, in the place of each that is missing, and store it."""
    wanted = {number: one for number in numbers if isinstance(one := found[number][name], _Missing)}
    for number, result in batch.evaluate(name, list(wanted)).items():
        try:
            if isinstance(result, Exception):
                raise result
            stored = _plain(*result)
            write_json(wanted[number].path, stored | {"key": wanted[number].key})
            found[number][name] = _record(batch.models[number], name, stored, cached=False)
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


def _stored(path: Path, key: str) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        stored: dict[str, Any] = read_json(path)
        if stored["key"] == key:
            return {name: stored[name] for name in ("value", "draws", "details", "seconds")}
    except (StoreError, KeyError, TypeError) as error:
        log.warning("%s is damaged (%s); computing it again", path, error)
    return None


def _plain(result: Evaluation, seconds: float) -> dict[str, Any]:
    return {
        "value": _rounded(result.value),
        "draws": [_rounded(value) for value in result.draws],
        "details": {detail: _rounded(value) for detail, value in result.details.items()},
        "seconds": round(seconds, 3),
    }


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
