"""Standard errors, 95 % intervals and paired comparisons of scores."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from scipy.special import stdtrit

from itm import scores as registry
from itm.core.rankings import Estimate
from itm.core.types import Score
from itm.scores.evaluate import Sampling

CONFIDENCE = 0.95


def standard_error(sampling: Sampling, draws: Sequence[float], judged_over_learnt: float) -> float:
    """Return the standard error of a score whose draws vary as these do.

    Splits and subsets of the same rows overlap, so their plain standard error is far too small. Two corrections are known:

    - held-out accuracies averaged over K splits: s^2 (1/K + judged / learnt), Nadeau and Bengio, Machine Learning 2003, and for
      repeated cross-validation Bouckaert and Frank, PAKDD 2004;
    - values of what the splits learn from, the judged rows left out: learnt / judged times their variance, the delete-d
      jackknife, Shao and Wu, Annals of Statistics 1989.
    """
    variance = float(np.var(draws, ddof=1))
    if sampling == "held_out":
        variance *= 1 / len(draws) + judged_over_learnt
    else:
        variance /= judged_over_learnt
    return float(variance**0.5)


def half_width(sampling: Sampling, draws: Sequence[float], judged_over_learnt: float) -> float:
    """Return half the 95 % interval of a score whose draws vary as these do."""
    return _quantile(len(draws) - 1) * standard_error(sampling, draws, judged_over_learnt)


@cache
def _quantile(degrees_of_freedom: int) -> float:
    """Return how many standard errors half an interval has: asking SciPy takes longer than all else, and a zoo asks often."""
    return float(stdtrit(degrees_of_freedom, (1 + CONFIDENCE) / 2))


def estimate(score: Score, judged_over_learnt: float) -> Estimate:
    """Return a score's value with its interval, cut at the ends of the score's range."""
    definition = registry.get(score.score)
    error = standard_error(definition.sampling, score.draws, judged_over_learnt)
    half = _quantile(len(score.draws) - 1) * error
    low, high = max(score.value - half, definition.lowest), min(score.value + half, definition.highest)
    return Estimate(score.value, low, high, score.draws, error, score.details)


def cannot_be_told_apart(sampling: Sampling, one: Estimate, other: Estimate, judged_over_learnt: float) -> bool:
    """Say whether the 95 % interval of the difference holds 0; draws pair up, since they are on the same rows."""
    differences = np.subtract(one.draws, other.draws)
    return abs(one.value - other.value) <= half_width(sampling, differences.tolist(), judged_over_learnt)
