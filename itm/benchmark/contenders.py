"""Everything that is asked to order a pool: scores, controls that a score must beat, and ceilings that none can be asked to."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import rankdata

from itm.benchmark.measured import FACTS, Measured
from itm.ranking.pooled import combined
from itm.scores import get, names

Kind = Literal["score", "control", "ceiling"]
KINDS: tuple[Kind, ...] = ("score", "control", "ceiling")
MEASURED_CONTROLS = ("itm_eta0", "itm_shuffled", "knn", "linear_probe", "nearest_class_mean")
RANDOM = "random"  # not one draw of it but all of them, so it is computed and not read


@dataclass(frozen=True)
class Contender:
    """Values [sets, models] that order the models of a pool against `truth` [sets, models], accuracies in percent."""

    name: str
    kind: Kind
    values: np.ndarray
    truth: np.ndarray


def contenders(measured: Measured) -> list[Contender]:
    """Return every contender but the random one, scores first."""
    truth = measured.truth
    scores = {name: _of_pool(name, measured) for name in measured.scores if name not in (*FACTS, RANDOM)}
    found = [
        Contender(name, "control" if name in MEASURED_CONTROLS else "score", values, truth) for name, values in scores.items()
    ]
    for name in FACTS:
        found.append(Contender(name, "control", np.broadcast_to(measured.facts[name], truth.shape), truth))
    found.append(Contender("mean_rank_elsewhere", "control", mean_rank_elsewhere(truth), truth))
    full, head = measured.accuracies["full"], measured.accuracies["head"]
    if len(full) > 1:
        found.append(Contender("other_seed", "ceiling", full[1], full[0]))
    if len(head):
        found.append(Contender("head_only", "ceiling", head.mean(axis=0), truth))
    return sorted(found, key=lambda one: KINDS.index(one.kind))


def mean_rank_elsewhere(truth: np.ndarray) -> np.ndarray:
    """Return how good each model is on the other data sets [sets, models], a ranking that knows nothing of the one at hand.

    It is the mean rank of its accuracy [sets, models] there, counted from the worst; a data set without it is left out.
    """
    ranks = rankdata(truth, axis=1, nan_policy="omit")
    known = ~np.isnan(ranks)
    total, count = np.nansum(ranks, axis=0), known.sum(axis=0)
    with np.errstate(invalid="ignore"):
        return np.asarray((total - np.nan_to_num(ranks)) / (count - known))


def _of_pool(name: str, measured: Measured) -> np.ndarray:
    """Return a score's values; one that is made of all models' values is made again of those in this pool."""
    terms = get(name).terms if name in names() else {}
    if not terms.keys() <= measured.scores.keys() or not terms:
        return measured.scores[name]
    parts = {term: measured.scores[term] for term in terms}
    values = np.full_like(measured.scores[name], np.nan)
    for row in range(len(values)):
        whole = np.all([np.isfinite(part[row]) for part in parts.values()], axis=0)
        if whole.any():
            values[row, whole] = combined({term: part[row, whole, None] for term, part in parts.items()}, terms)[:, 0]
    return values
