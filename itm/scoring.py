"""All scores of one feature file, each kept under its content key."""

import logging
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from itm.errors import ItmError, StoreError, told
from itm.feature_file import read_embeddings
from itm.keys import content_key
from itm.params import ScoreParams
from itm.scores import check_options, evaluate
from itm.store import Store, read_json, write_json
from itm.types import Failure, Features, Resume, Score

log = logging.getLogger(__name__)

SCORES = 1  # raise it when a change of a score changes its values
PACKAGES = ("numpy", "scikit-learn", "scipy", "torch")
DIGITS = 10  # the digits after these depend on how many threads took part in a sum


def score(
    features: Features, params: ScoreParams, store: Store, resume: Resume = "only-missing"
) -> tuple[tuple[Score, ...], tuple[Failure, ...]]:
    """Return the scores of one pair, and a failure for each that is undefined on it or cannot be stored."""
    loaded = None
    scores, failures = [], []
    for name in params.names:
        try:
            options = asdict(check_options(name, params.options.get(name)))
            identity = {
                "scores": SCORES,
                "features": features.key,
                "score": name,
                "options": options,
                "draws": params.draws,
                "seed": params.seed,
                "packages": {package: version(package) for package in PACKAGES},
            }
            path = store.score(features.data, features.model, name, key := content_key(identity))
            stored = _stored(path, key) if resume != "always" else None
            cached = stored is not None
            if stored is None:
                if resume == "only-cache":
                    raise StoreError("is not stored and resume is 'only-cache'; use 'only-missing'.")
                loaded = loaded or read_embeddings(features.path)
                stored = _compute(name, loaded, options, params) | {"key": key}
                write_json(path, stored)
        except Exception as error:  # the linear algebra of others has its own errors, and the other scores stand all the same
            foreseen = isinstance(error, ItmError)
            log.error("%s of %s on %s: %s", name, features.model, features.data, told(error), exc_info=not foreseen)
            failures.append(Failure(features.data, features.model, f"score {name}", told(error)))
            continue
        scores.append(
            Score(
                data=features.data,
                data_hash=features.data_hash,
                model=features.model,
                weights=features.weights,
                score=name,
                value=stored["value"],
                draws=tuple(stored["draws"]),
                seconds=stored["seconds"],
                cached=cached,
            )
        )
    return tuple(scores), tuple(failures)


def _stored(path: Path, key: str) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        stored: dict[str, Any] = read_json(path)
        if stored["key"] == key:
            return {name: stored[name] for name in ("value", "draws", "seconds")}
    except (StoreError, KeyError, TypeError) as error:
        log.warning("%s is damaged (%s); computing it again", path, error)
    return None


def _compute(
    name: str, loaded: tuple[np.ndarray, np.ndarray, list[str]], options: dict[str, Any], params: ScoreParams
) -> dict[str, Any]:
    embeddings, labels, ids = loaded
    started = time.perf_counter()
    result = evaluate(name, embeddings, labels, options=options, ids=ids, draws=params.draws, seed=params.seed)
    seconds = round(time.perf_counter() - started, 3)
    return {"value": _rounded(result.value), "draws": [_rounded(v) for v in result.draws], "seconds": seconds}


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
