"""How far an agreement would move with other models and other data sets.

Every function takes accuracies and strict ranks, both [data sets, models]: `worst_cases(truth, scores).ranks`, made once on the
full pool. NaN in `truth` says that a model takes no part on that data set. Give `statistic` its options by `functools.partial`.
"""

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np

from itm.agreement.counted import Statistic, counted_weighted_tau
from itm.core.errors import AgreementError

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean over data sets with its 95 % percentile interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Spread:
    """Mean, standard deviation and the 2.5 and 97.5 % points of a statistic over sub-pools."""

    mean: float
    deviation: float
    low: float
    high: float


def per_data_set(truth: np.ndarray, ranks: np.ndarray, statistic: Statistic = counted_weighted_tau) -> np.ndarray:
    """Return the statistic of every data set, [data sets]; its unit is the statistic's.

    Raises
    ------
    AgreementError
        If the shapes differ, a rank is missing, or the statistic is undefined on a data set, as where all accuracies are equal.
    """
    values = _of_draws(truth, ranks, np.ones((1, np.shape(truth)[-1])), statistic)[:, 0]
    if undefined := np.flatnonzero(np.isnan(values)).tolist():
        raise AgreementError(f"undefined on data sets {undefined}: too few or equal accuracies; leave them out.")
    return values


def intervals(
    truth: np.ndarray, ranks: np.ndarray, *, statistic: Statistic = counted_weighted_tau, draws: int = 1000, seed: int = 0
) -> Interval:
    """Return the mean over data sets with its interval under resampling of models and of data sets, both with replacement.

    A model drawn twice is never compared with itself. A draw that leaves no order on a data set has its mean over the others.
    On one data set the interval holds the expected value of such a pool about 95 times in 100. Over several it is wider than
    that asks for where data sets are independent, since both models and data sets are drawn.

    Raises
    ------
    AgreementError
        If the shapes differ, a rank is missing, or the statistic is undefined on a data set.
    """
    mean = float(per_data_set(truth, ranks, statistic).mean())
    return _interval(mean, _resampled(truth, ranks, statistic, draws, seed))


def paired_difference(
    truth: np.ndarray,
    ranks: np.ndarray,
    other: np.ndarray,
    *,
    statistic: Statistic = counted_weighted_tau,
    draws: int = 1000,
    seed: int = 0,
) -> Interval:
    """Return how much more one score has than the `other`, both judged on the same draws of models and data sets.

    Raises
    ------
    AgreementError
        If the shapes differ, a rank is missing, or the statistic is undefined on a data set.
    """
    difference = per_data_set(truth, ranks, statistic) - per_data_set(truth, other, statistic)
    drawn = [_resampled(truth, one, statistic, draws, seed) for one in (ranks, other)]
    return _interval(float(difference.mean()), drawn[0] - drawn[1])


def leave_one_model_out(truth: np.ndarray, ranks: np.ndarray, *, statistic: Statistic = counted_weighted_tau) -> np.ndarray:
    """Return the mean over data sets without each model in turn, [models]; NaN where the others have no order.

    Raises
    ------
    AgreementError
        If the shapes differ or a rank is missing.
    """
    models = np.shape(truth)[-1]
    return _mean(_of_draws(truth, ranks, 1.0 - np.eye(models), statistic))


def sub_pools(models: int, size: int, *, limit: int = 1000, seed: int = 0) -> np.ndarray:
    """Return sub-pools of `size` as counts 0 and 1, [pools, models]: all of them, or `limit` different ones drawn at random.

    Raises
    ------
    AgreementError
        If `size` is not 2 to `models`.
    """
    if not 2 <= size <= models:
        raise AgreementError(f"sub-pools of {size} from {models} models; take 2 to {models}.")
    if comb(models, size) <= limit:
        chosen = set(combinations(range(models), size))
    else:
        generator, chosen = np.random.default_rng(seed), set()
        while len(chosen) < limit:
            chosen.add(tuple(sorted(generator.choice(models, size, replace=False).tolist())))
    pools = np.zeros((len(chosen), models))
    np.put_along_axis(pools, np.array(sorted(chosen)), 1.0, axis=1)
    return pools


def over_sub_pools(
    truth: np.ndarray, ranks: np.ndarray, pools: np.ndarray, *, statistic: Statistic = counted_weighted_tau
) -> Spread:
    """Return how the mean over data sets spreads over sub-pools, given as counts [pools, models].

    Raises
    ------
    AgreementError
        If the shapes differ, a rank is missing, or no sub-pool has an order.
    """
    values = _mean(_of_draws(truth, ranks, pools, statistic))
    values = values[np.isfinite(values)]
    if not len(values):
        raise AgreementError(f"none of {len(pools)} sub-pools has an order on any data set; take larger ones.")
    low, high = _ends(values)
    return Spread(float(values.mean()), float(values.std()), low, high)


def _of_draws(truth: np.ndarray, ranks: np.ndarray, counts: np.ndarray, statistic: Statistic) -> np.ndarray:
    """Return the statistic of every data set and draw, [data sets, draws]."""
    truth, ranks = np.asarray(truth, dtype=np.float64), np.asarray(ranks, dtype=np.float64)
    if truth.ndim != 2 or truth.shape != ranks.shape or counts.shape[1] != truth.shape[1]:
        raise AgreementError(f"accuracies {truth.shape} and ranks {ranks.shape} must be [data sets, models] alike.")
    known = ~np.isnan(truth)
    if missing := int((~np.isfinite(ranks[known])).sum() + np.isinf(truth).sum()):
        raise AgreementError(
            f"{missing} ranks or accuracies are NaN or infinite; take the ranks of worst_cases(truth, scores)."
        )
    return np.stack(
        [
            statistic(truth[row, taking_part], ranks[row, taking_part], counts[:, taking_part])
            for row, taking_part in enumerate(known)
        ]
    )


def _resampled(truth: np.ndarray, ranks: np.ndarray, statistic: Statistic, draws: int, seed: int) -> np.ndarray:
    """Return the mean over data sets of every draw of models and data sets, [draws]."""
    sets, models = np.shape(truth)
    generator = np.random.default_rng(seed)
    counts = generator.multinomial(models, np.full(models, 1 / models), size=draws).astype(np.float64)
    times = generator.multinomial(sets, np.full(sets, 1 / sets), size=draws).astype(np.float64)
    return _mean(_of_draws(truth, ranks, counts, statistic), times.T)


def _mean(values: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
    """Return the mean over data sets of values [data sets, draws], each counted `times`; what is undefined is left out."""
    weights = np.isfinite(values) * (1.0 if times is None else times)
    with np.errstate(invalid="ignore"):
        return np.asarray((np.nan_to_num(values) * weights).sum(axis=0) / weights.sum(axis=0))


def _interval(mean: float, values: np.ndarray) -> Interval:
    return Interval(mean, *_ends(values[np.isfinite(values)]))


def _ends(values: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
