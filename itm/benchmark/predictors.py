"""Predictors order the models of a pool.

There are three kinds: scores, controls that a score should beat, and ceilings that a score cannot be expected to reach.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import rankdata

from itm.benchmark.measurements import FACTS, Measurements
from itm.ranking.pooled import combined
from itm.scores import names, weights_of

Kind = Literal["score", "control", "ceiling"]
KINDS: tuple[Kind, ...] = ("score", "control", "ceiling")
MEASURED_CONTROLS = ("itm_eta0", "itm_shuffled", "knn", "linear_probe", "nearest_class_mean")
RANDOM = "random"  # evaluated over many random orders, so its measured values are not used


@dataclass(frozen=True)
class Predictor:
    """Values [sets, models] that order the models of a pool, and the accuracies in percent, `truth` [sets, models]."""

    name: str
    kind: Kind
    values: np.ndarray
    truth: np.ndarray


def build_predictors(measurements: Measurements) -> list[Predictor]:
    """Return all predictors except the random one, scores first."""
    truth = measurements.truth
    scores = {name: _score_values(name, measurements) for name in measurements.scores if name not in (*FACTS, RANDOM)}
    predictors = [
        Predictor(name, "control" if name in MEASURED_CONTROLS else "score", values, truth) for name, values in scores.items()
    ]
    for name in FACTS:
        predictors.append(Predictor(name, "control", np.broadcast_to(measurements.facts[name], truth.shape), truth))
    predictors.append(Predictor("mean_rank_elsewhere", "control", mean_rank_elsewhere(truth), truth))
    full, head = measurements.accuracies["full"], measurements.accuracies["head"]
    if len(full) > 1:
        predictors.append(Predictor("other_seed", "ceiling", full[1], full[0]))
    if len(head):
        predictors.append(Predictor("head_only", "ceiling", head.mean(axis=0), truth))
    return sorted(predictors, key=lambda predictor: KINDS.index(predictor.kind))


def mean_rank_elsewhere(truth: np.ndarray) -> np.ndarray:
    """Return the mean rank of each model on the other data sets, [sets, models]. It does not use the data set itself.

    The worst accuracy of `truth` [sets, models] has rank 1. Data sets without an accuracy of the model are left out.
    """
    ranks = rankdata(truth, axis=1, nan_policy="omit")
    known = ~np.isnan(ranks)
    total, count = np.nansum(ranks, axis=0), known.sum(axis=0)
    with np.errstate(invalid="ignore"):
        return np.asarray((total - np.nan_to_num(ranks)) / (count - known))


def _score_values(name: str, measurements: Measurements) -> np.ndarray:
    """Return the values of a score. A score that depends on the other models of the pool is computed again for this pool."""
    terms = weights_of(name) if name in names() else {}
    if not terms.keys() <= measurements.scores.keys() or not terms:
        return measurements.scores[name]
    parts = {term: measurements.scores[term] for term in terms}
    values = np.full_like(measurements.scores[name], np.nan)
    for row in range(len(values)):
        complete = np.all([np.isfinite(part[row]) for part in parts.values()], axis=0)
        if complete.any():
            values[row, complete] = combined({term: part[row, complete, None] for term, part in parts.items()}, terms)[:, 0]
    return values
