"""What following a score would give: the accuracy lost by its pick, and whether the best model is among its first."""

import numpy as np

from itm.agreement.checks import finite, place
from itm.agreement.counted import counted_hit, counted_regret, counted_relative_at_k
from itm.agreement.ranks import worst_case, worst_cases


def regret(truth: np.ndarray, scores: np.ndarray) -> float:
    """Return the best accuracy minus that of the model with the highest score, in units of `truth` [m].

    Of several models with the highest of `scores` [m], the worst is picked.

    Raises
    ------
    AgreementError
        If the two do not fit, or hold NaN or infinity.
    """
    return float(counted_regret(*_one(truth, scores))[0])


def relative_at_k(truth: np.ndarray, scores: np.ndarray, k: int) -> float:
    """Return Rel@k, the best accuracy among the `k` models with the highest of `scores` [m] as a share of the best of all.

    Of models tied at the border, the worst are taken.

    Source: Li et al., Ranking Neural Checkpoints, CVPR 2021. 1 - Rel@k is the relative regret of Renggli et al., Which Model to
    Transfer?, CVPR 2022.

    Raises
    ------
    AgreementError
        If the two do not fit, hold NaN or infinity, `k` is not 1 to m, or no accuracy is above 0.
    """
    return float(counted_relative_at_k(*_one(truth, scores), k=k)[0])


def hit(truth: np.ndarray, scores: np.ndarray, k: int = 1) -> bool:
    """Say whether the best model by `truth` [m] is among the `k` with the highest of `scores` [m]; one of several best will do.

    Of models tied at the border, the worst are taken.

    Raises
    ------
    AgreementError
        If the two do not fit, hold NaN or infinity, or `k` is not 1 to m.
    """
    return bool(counted_hit(*_one(truth, scores), k=k)[0])


def recall_at_k(truth: np.ndarray, scores: np.ndarray, k: int) -> float:
    """Return Recall@k of [data sets, models]: the share of the data sets whose best model is among the first `k`.

    It is the mean of `hit`, so on one data set it is 0 or 1. NaN in `truth` leaves a model out of its data set; a score that is
    no number comes last.

    Source: Li et al., Ranking Neural Checkpoints, CVPR 2021.

    Raises
    ------
    AgreementError
        If the shapes differ, a data set has accuracies of fewer than two models, or `k` is not 1 to their number.
    """
    ranks = worst_cases(truth, scores).ranks
    found = []
    for accuracies, row in zip(np.asarray(truth, dtype=np.float64), ranks, strict=True):
        known = ~np.isnan(accuracies)
        place(k, int(known.sum()))
        found.append(hit(accuracies[known], row[known], k))
    return float(np.mean(found))


def _one(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return accuracies, strict ranks and the count 1 of every model."""
    truth, scores = finite(truth, scores)
    return truth, worst_case(truth, scores).ranks, np.ones((1, len(truth)))
