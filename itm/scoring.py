"""All scores of one feature file, each kept under its content key."""

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from itm.errors import ItmError, StoreError, told
from itm.feature_file import read_embeddings
from itm.keys import content_key
from itm.params import ScoreParams
from itm.scores import Evaluation, Splitting, check_options, evaluate_together
from itm.store import Store, read_json, write_json
from itm.types import Failure, Features, Resume, Score

log = logging.getLogger(__name__)

SCORES = 2  # raise it when a change of a score changes its values
PACKAGES = ("numpy", "scikit-learn", "scipy", "torch")
DIGITS = 10  # the digits after these depend on how many threads took part in a sum


def splitting(params: ScoreParams) -> Splitting:
    """Return how the parameters have rows split."""
    return Splitting(params.splitting, params.folds, params.seeds, params.seed)


Scored = tuple[tuple[Score, ...], tuple[Failure, ...]]
Loaded = tuple[np.ndarray, np.ndarray, list[str]]


def score(
    features: Features, params: ScoreParams, store: Store, resume: Resume = "only-missing", device: str = "cpu"
) -> Scored:
    """Return the scores of one pair, and a failure for each that is undefined on it or cannot be stored.

    Scores that can use an accelerator compute on `device`; what is stored is taken wherever it was computed.
    """
    return score_together([features], params, store, resume, device)[0]


def score_together(
    models: Sequence[Features], params: ScoreParams, store: Store, resume: Resume = "only-missing", device: str = "cpu"
) -> list[Scored]:
    """Return for several models of one data set what `score` returns for each of them, computed in one program where it can be.

    What of their embeddings is not mapped from a file is held in memory together.
    """
    loaded: dict[str, Loaded] = {}
    results: list[tuple[list[Score], list[Failure]]] = [([], []) for _ in models]
    for name in params.names:
        found = _score_all(name, models, loaded, params, store, resume, device)
        for features, (scores, failures), one in zip(models, results, found, strict=True):
            if isinstance(one, Score):
                scores.append(one)
                continue
            log.error(
                "%s of %s on %s: %s",
                name,
                features.model,
                features.data,
                told(one),
                exc_info=None if isinstance(one, ItmError) else one,
            )
            failures.append(Failure(features.data, features.model, f"score {name}", told(one)))
    return [(tuple(scores), tuple(failures)) for scores, failures in results]


def _score_all(
    name: str,
    models: Sequence[Features],
    loaded: dict[str, Loaded],
    params: ScoreParams,
    store: Store,
    resume: Resume,
    device: str,
) -> list[Score | Exception]:
    """Return one score of every model as it is stored, computing and storing what is missing, or what stands in the way."""
    results: dict[int, Score | Exception] = {}
    missing: dict[int, tuple[Path, str]] = {}
    for number, features in enumerate(models):
        try:
            options = asdict(check_options(name, params.options.get(name)))
            identity = {
                "scores": SCORES,
                "features": features.key,
                "score": name,
                "options": options,
                "splitting": asdict(splitting(params)),
                "packages": {package: version(package) for package in PACKAGES},
            }
            path = store.score(features.data, features.model, name, key := content_key(identity))
            stored = _stored(path, key) if resume != "always" else None
            if stored is not None:
                results[number] = _record(features, name, stored, cached=True)
            elif resume == "only-cache":
                raise StoreError("is not stored and resume is 'only-cache'; use 'only-missing'.")
            else:
                if features.key not in loaded:
                    loaded[features.key] = read_embeddings(features.path)
                missing[number] = path, key
        except Exception as error:  # whatever it is, the other scores and models stand all the same
            results[number] = error
    computed = _compute(name, [loaded[models[number].key] for number in missing], params, device)
    for (number, (path, key)), one in zip(missing.items(), computed, strict=True):
        try:
            if isinstance(one, Exception):
                raise one
            write_json(path, one | {"key": key})
            results[number] = _record(models[number], name, one, cached=False)
        except Exception as error:
            results[number] = error
    return [results[number] for number in range(len(models))]


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


def _compute(name: str, loaded: Sequence[Loaded], params: ScoreParams, device: str) -> list[dict[str, Any] | Exception]:
    """Return a score of every table as it is stored, those of the same rows together, or what stands in the way of it."""
    results: dict[int, dict[str, Any] | Exception] = {}
    while rest := [number for number in range(len(loaded)) if number not in results]:
        _, labels, ids = loaded[rest[0]]
        alike = [number for number in rest if loaded[number][2] == ids and np.array_equal(loaded[number][1], labels)]
        started = time.perf_counter()
        try:
            found: Sequence[Evaluation | Exception] = evaluate_together(
                name,
                [loaded[number][0] for number in alike],
                labels,
                options=params.options.get(name),
                ids=ids,
                splitting=splitting(params),
                device=device,
            )
        except Exception as error:  # the linear algebra of others has errors of its own
            found = [error.with_traceback(None) if len(alike) > 1 else error]
        if len(found) < len(alike):  # out of the except, since the error holds on to what did not fit into memory
            results |= {number: _compute(name, [loaded[number]], params, device)[0] for number in alike}
            continue
        seconds = round((time.perf_counter() - started) / len(alike), 3)
        results |= {number: _plain(one, seconds) for number, one in zip(alike, found, strict=True)}
    return [results[number] for number in range(len(loaded))]


def _plain(result: Evaluation | Exception, seconds: float) -> dict[str, Any] | Exception:
    if isinstance(result, Exception):
        return result
    return {
        "value": _rounded(result.value),
        "draws": [_rounded(value) for value in result.draws],
        "details": {detail: _rounded(value) for detail, value in result.details.items()},
        "seconds": seconds,
    }


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
