"""Correlations between accuracies and scores, by SciPy, with one word on each about ties."""

from typing import Literal

import numpy as np
from scipy import stats

from itm.agreement.checks import ordered

Convention = Literal["scipy", "truth"]


def weighted_tau(truth: np.ndarray, scores: np.ndarray, *, convention: Convention = "scipy") -> float:
    """Return the weighted Kendall correlation tau_w of `truth` [m] and `scores` [m], -1 to 1; the first ranks weigh most.

    Ties: a pair tied on one side adds nothing above the line and counts below it for the other side, as in tau-b. Its ranks are
    decided by the other side, in favour of agreement, so ties are better broken by `worst_case` first.

    Source: Vigna, A Weighted Correlation Index for Rankings with Ties, WWW 2015, with additive hyperbolic weights.

    Raises
    ------
    AgreementError
        If the two do not fit, hold NaN or infinity, or one of them is the same for all models.
    """
    truth, scores = ordered(truth, scores)
    return float(stats.weightedtau(truth, scores, rank=True if convention == "scipy" else None).statistic)


def tau_b(truth: np.ndarray, scores: np.ndarray) -> float:
    """Return Kendall's tau-b of `truth` [m] and `scores` [m], -1 to 1.

    Ties: a pair tied on one side counts below the line for the other side alone, so a score with ties cannot reach 1.

    Raises
    ------
    AgreementError
        If the two do not fit, hold NaN or infinity, or one of them is the same for all models.
    """
    return float(stats.kendalltau(*ordered(truth, scores), variant="b").statistic)


def spearman(truth: np.ndarray, scores: np.ndarray) -> float:
    """Return Spearman's rank correlation of `truth` [m] and `scores` [m], -1 to 1.

    Ties: equal values share the mean of their ranks.

    Raises
    ------
    AgreementError
        If the two do not fit, hold NaN or infinity, or one of them is the same for all models.
    """
    return float(stats.spearmanr(*ordered(truth, scores)).statistic)


def pearson(truth: np.ndarray, scores: np.ndarray) -> float:
    """Return Pearson's correlation of `truth` [m] and `scores` [m], -1 to 1: of the values, not of their order.

    Ties: none, since values are compared; a curved relation lowers it though the order is perfect.

    Raises
    ------
    AgreementError
        If the two do not fit, hold NaN or infinity, or one of them is the same for all models.
    """
    return float(stats.pearsonr(*ordered(truth, scores)).statistic)
