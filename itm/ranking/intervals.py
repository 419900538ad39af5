"""Standard errors, 95 % intervals and paired comparisons of scores."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from scipy.special import stdtrit

from itm import scores as registry
from itm.core.rankings import Estimate
from itm.core.types import ScoreValue
from itm.kinds import METRICS
from itm.scores import Sampling

CONFIDENCE = 0.95


def standard_error(sampling: Sampling, fold_values: Sequence[float], test_over_train: float) -> float:
    """Return the standard error of a score from its values per fold.

    Folds share rows, so the standard error of independent values is far too small. Two corrections are known:

    - for a mean over K folds of a metric on held-out rows: s^2 (1/K + test / train), Nadeau and Bengio, Machine Learning 2003,
      and for repeated cross-validation Bouckaert and Frank, PAKDD 2004;
    - for values of the training rows of each fold: train / test times their variance, the delete-d jackknife of Shao and Wu,
      Annals of Statistics 1989.

    `test_over_train` is the number of test rows per training row.
    """
    variance = float(np.var(fold_values, ddof=1))
    if sampling == "held_out":
        variance *= 1 / len(fold_values) + test_over_train
    else:
        variance /= test_over_train
    return float(variance**0.5)


def half_width(
    sampling: Sampling, fold_values: Sequence[float], test_over_train: float, confidence: float = CONFIDENCE
) -> float:
    """Return half the width of the interval of a score."""
    return _quantile(len(fold_values) - 1, confidence) * standard_error(sampling, fold_values, test_over_train)


@cache
def _quantile(degrees_of_freedom: int, confidence: float) -> float:
    """Return half the width of an interval in standard errors. Cached: SciPy is slow, and a large zoo asks often."""
    return float(stdtrit(degrees_of_freedom, (1 + confidence) / 2))


def estimate(score: ScoreValue, test_over_train: float) -> Estimate:
    """Return a score's value with its interval, cut at the bounds of the score and of its metric."""
    kind = registry.get(score.score)
    error = standard_error(kind.sampling, score.fold_values, test_over_train)
    half = _quantile(len(score.fold_values) - 1, CONFIDENCE) * error
    bounds = METRICS[score.metric] if score.metric else kind.info
    low, high = max(score.value - half, bounds.lowest), min(score.value + half, bounds.highest)
    return Estimate(score.value, low, high, score.fold_values, error, score.details)


def cannot_be_told_apart(sampling: Sampling, one: Estimate, other: Estimate, test_over_train: float) -> bool:
    """Return whether the 95 % interval of the difference contains 0. Values are paired by fold: the rows are the same."""
    differences = np.subtract(one.fold_values, other.fold_values)
    return abs(one.value - other.value) <= half_width(sampling, differences.tolist(), test_over_train)
