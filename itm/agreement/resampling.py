"""Uncertainty of an agreement with respect to the choice of models and data sets.

All functions take accuracies and strict ranks, both [data sets, models]. Compute the ranks once, for the full pool:
`worst_cases(truth, scores).ranks`. NaN in `truth` excludes a model on a data set. Functions without a parameter
`statistic` use tau_w.
"""

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np

from itm.agreement.statistics import Statistic, resampled_weighted_tau
from itm.core.errors import AgreementError

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """Mean over data sets with its 95 % percentile interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Spread:
    """Mean, standard deviation, and the 2.5 % and 97.5 % quantiles of a statistic over sub-pools."""

    mean: float
    deviation: float
    low: float
    high: float


def per_data_set(truth: np.ndarray, ranks: np.ndarray, statistic: Statistic = resampled_weighted_tau) -> np.ndarray:
    """Return the statistic of each data set, [data sets]."""
    values = _compute(truth, ranks, np.ones((1, np.shape(truth)[-1])), statistic)[:, 0]
    if undefined := np.flatnonzero(np.isnan(values)).tolist():
        raise AgreementError(f"undefined on data sets {undefined}: too few or equal accuracies; leave them out.")
    return values


def bootstrap_interval(truth: np.ndarray, ranks: np.ndarray, *, resamples: int = 1000, seed: int = 0) -> Interval:
    """Return the mean over data sets with its bootstrap interval. Models and data sets are resampled with replacement.

    Copies of a model are not compared with each other. Where a resample has no order on a data set, its mean is over the other
    data sets. For one data set, the interval contains the expected value in about 95 % of pools. For several independent data
    sets it is wider than necessary, because both models and data sets are resampled.
    """
    return _interval(per_data_set(truth, ranks), _bootstrap(truth, ranks, resamples, seed))


def paired_difference(
    truth: np.ndarray, ranks: np.ndarray, other: np.ndarray, *, resamples: int = 1000, seed: int = 0
) -> Interval:
    """Return the difference between two scores with its interval. `ranks` and `other` are compared on the same resamples."""
    difference = per_data_set(truth, ranks) - per_data_set(truth, other)
    first, second = (_bootstrap(truth, own, resamples, seed) for own in (ranks, other))
    return _interval(difference, first - second)


def leave_one_model_out(truth: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Return the mean over data sets without each model in turn, [models]; NaN where the remaining models have no order."""
    return _mean(_compute(truth, ranks, 1.0 - np.eye(np.shape(truth)[-1]), resampled_weighted_tau))


def sub_pools(models: int, size: int, *, limit: int = 1000, seed: int = 0) -> np.ndarray:
    """Return sub-pools of `size` models as counts 0 and 1, [pools, models]: all of them, or `limit` random ones."""
    if not 2 <= size <= models:
        raise AgreementError(f"sub-pools of {size} of {models} models; the size must be 2 to {models}.")
    if comb(models, size) <= limit:
        chosen = set(combinations(range(models), size))
    else:
        generator, chosen = np.random.default_rng(seed), set()
        while len(chosen) < limit:
            chosen.add(tuple(sorted(generator.choice(models, size, replace=False).tolist())))
    pools = np.zeros((len(chosen), models))
    np.put_along_axis(pools, np.array(sorted(chosen)), 1.0, axis=1)
    return pools


def spread_over_sub_pools(
    truth: np.ndarray, ranks: np.ndarray, pools: np.ndarray, *, statistic: Statistic = resampled_weighted_tau
) -> Spread:
    """Return the spread of the mean over data sets over sub-pools, given as counts [pools, models]."""
    values = _mean(_compute(truth, ranks, pools, statistic))
    values = values[np.isfinite(values)]
    if not len(values):
        raise AgreementError(f"none of {len(pools)} sub-pools has an order on any data set; use larger ones.")
    return Spread(float(values.mean()), float(values.std()), *_quantiles(values))


def _compute(truth: np.ndarray, ranks: np.ndarray, counts: np.ndarray, statistic: Statistic) -> np.ndarray:
    """Return the statistic of each data set and resample, [data sets, resamples]."""
    truth, ranks = np.asarray(truth, dtype=np.float64), np.asarray(ranks, dtype=np.float64)
    if truth.ndim != 2 or truth.shape != ranks.shape or counts.shape[1] != truth.shape[1]:
        raise AgreementError(f"accuracies {truth.shape} and ranks {ranks.shape} must have the same shape [data sets, models].")
    known = ~np.isnan(truth)
    if missing := int((~np.isfinite(ranks[known])).sum() + np.isinf(truth).sum()):
        raise AgreementError(f"{missing} ranks or accuracies are NaN or infinite; use worst_cases(truth, scores).ranks.")
    rows = [statistic(truth[row, models], ranks[row, models], counts[:, models]) for row, models in enumerate(known)]
    return np.stack(rows)


def _bootstrap(truth: np.ndarray, ranks: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Return the mean tau_w over data sets of each resample of models and data sets, [resamples]."""
    sets, models = np.shape(truth)
    generator = np.random.default_rng(seed)
    counts = generator.multinomial(models, np.full(models, 1 / models), size=resamples).astype(np.float64)
    set_counts = generator.multinomial(sets, np.full(sets, 1 / sets), size=resamples).astype(np.float64)
    return _mean(_compute(truth, ranks, counts, resampled_weighted_tau), set_counts.T)


def _mean(values: np.ndarray, set_counts: np.ndarray | None = None) -> np.ndarray:
    """Return the mean over data sets of finite values [data sets, resamples], weighted by `set_counts`."""
    weights = np.isfinite(values) * (1.0 if set_counts is None else set_counts)
    with np.errstate(invalid="ignore"):
        return np.asarray((np.nan_to_num(values) * weights).sum(axis=0) / weights.sum(axis=0))


def _interval(by_data_set: np.ndarray, resampled: np.ndarray) -> Interval:
    return Interval(float(by_data_set.mean()), *_quantiles(resampled[np.isfinite(resampled)]))


def _quantiles(values: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
