"""Measures of agreement on one data set: correlations, computed by SciPy, and the cost of following a score."""

from typing import Literal

import numpy as np
from scipy import stats

from itm.agreement.ranks import check_shapes, worst_case
from itm.agreement.statistics import resampled_hit, resampled_regret, resampled_relative_at_k
from itm.core.errors import AgreementError

Convention = Literal["scipy", "truth"]


def weighted_tau(truth: np.ndarray, scores: np.ndarray, *, convention: Convention = "scipy") -> float:
    """Return the weighted Kendall correlation tau_w of `truth` [m] and `scores` [m], from -1 to 1.

    Pairs of models with high ranks have the largest weights.

    Ties: a pair tied in one array does not change the numerator and adds to the norm of the other array, as in tau-b. SciPy
    ranks tied models by the other array, which favours agreement. Break ties with `worst_case` first.

    Source: Vigna, A Weighted Correlation Index for Rankings with Ties, WWW 2015, with additive hyperbolic weights.
    """
    truth, scores = _check_ordered(truth, scores)
    return float(stats.weightedtau(truth, scores, rank=True if convention == "scipy" else None).statistic)


def tau_b(truth: np.ndarray, scores: np.ndarray) -> float:
    """Return Kendall's tau-b of `truth` [m] and `scores` [m], from -1 to 1.

    Ties: a pair tied in one array adds only to the norm of the other, so a score with ties cannot reach 1.
    """
    return float(stats.kendalltau(*_check_ordered(truth, scores), variant="b").statistic)


def spearman(truth: np.ndarray, scores: np.ndarray) -> float:
    """Return Spearman's rank correlation of `truth` [m] and `scores` [m], from -1 to 1.

    Ties: equal values get the mean of their ranks.
    """
    return float(stats.spearmanr(*_check_ordered(truth, scores)).statistic)


def pearson(truth: np.ndarray, scores: np.ndarray) -> float:
    """Return Pearson's correlation of `truth` [m] and `scores` [m], from -1 to 1.

    It compares values, not ranks, so a nonlinear relation lowers it even if the order is perfect.
    """
    return float(stats.pearsonr(*_check_ordered(truth, scores)).statistic)


def regret(truth: np.ndarray, scores: np.ndarray) -> float:
    """Return the best accuracy minus that of the model with the highest score, in units of `truth` [m].

    Of several models with the highest of `scores` [m], the worst counts.
    """
    return float(resampled_regret(*_single_resample(truth, scores))[0])


def relative_at_k(truth: np.ndarray, scores: np.ndarray, k: int) -> float:
    """Return Rel@k: the best accuracy of the `k` models with the highest of `scores` [m], divided by the best of all.

    Of models tied at the border, the worst count. An accuracy must be above 0.

    Source: Li et al., Ranking Neural Checkpoints, CVPR 2021. 1 - Rel@k is the relative regret of Renggli et al., Which Model to
    Transfer?, CVPR 2022.
    """
    return float(resampled_relative_at_k(*_single_resample(truth, scores), k=k)[0])


def hit(truth: np.ndarray, scores: np.ndarray, k: int = 1) -> bool:
    """Return whether a best model by `truth` [m] is among the `k` models with the highest of `scores` [m].

    Of models tied at the border, the worst count.
    """
    return bool(resampled_hit(*_single_resample(truth, scores), k=k)[0])


def _single_resample(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return accuracies, strict ranks, and a resample in which each model occurs once."""
    truth, scores = _check_finite(truth, scores)
    return truth, worst_case(truth, scores).ranks, np.ones((1, len(truth)))


def _check_finite(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both arrays [m] as float64 after checking that all values are finite."""
    truth, scores = check_shapes(truth, scores)
    if failed := int((~np.isfinite(scores)).sum()):
        raise AgreementError(
            f"{failed} of {len(scores)} scores are NaN or infinite; use worst_case(truth, scores).ranks, which puts them last."
        )
    return truth, scores


def _check_ordered(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both arrays [m] as float64 after checking that each has at least two different values."""
    truth, scores = _check_finite(truth, scores)
    if (truth == truth[0]).all():
        raise AgreementError(f"all {len(truth)} accuracies are {truth[0]:g}, which is no order; leave this data set out.")
    if (scores == scores[0]).all():
        raise AgreementError(
            f"all {len(scores)} scores are {scores[0]:g}, which is no order; use worst_case(truth, scores).ranks."
        )
    return truth, scores
