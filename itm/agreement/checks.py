"""What accuracies and scores must be before they are compared."""

import numpy as np

from itm.core.errors import AgreementError


def models_of(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both [m] in float64; only their shapes and the accuracies are checked.

    Raises
    ------
    AgreementError
        If the two are not one number for each of the same two or more models, or an accuracy is NaN or infinite.
    """
    truth, scores = np.asarray(truth, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != scores.shape:
        raise AgreementError(f"accuracies {truth.shape} and scores {scores.shape} must be one number each for the same models.")
    if len(truth) < 2:
        raise AgreementError(f"models: {len(truth)}; an order needs 2.")
    if missing := int((~np.isfinite(truth)).sum()):
        raise AgreementError(
            f"{missing} of {len(truth)} accuracies are NaN or infinite; leave those models out, since nothing is known of them."
        )
    return truth, scores


def finite(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both [m] in float64, with no value that has no place in an order.

    Raises
    ------
    AgreementError
        If the two do not fit, or one of them holds NaN or infinity.
    """
    truth, scores = models_of(truth, scores)
    if failed := int((~np.isfinite(scores)).sum()):
        raise AgreementError(
            f"{failed} of {len(scores)} scores are NaN or infinite; take worst_case(truth, scores).ranks, which puts them last."
        )
    return truth, scores


def ordered(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both [m] in float64, each holding at least two different values.

    Raises
    ------
    AgreementError
        If the two do not fit, are not finite, or one of them is the same for all models.
    """
    truth, scores = finite(truth, scores)
    has_order(truth)
    if (scores == scores[0]).all():
        raise AgreementError(
            f"all {len(scores)} scores are {scores[0]:g}, which is no order; take the ranks of worst_case(truth, scores)."
        )
    return truth, scores


def has_order(truth: np.ndarray) -> None:
    """Refuse accuracies [m] that are all the same.

    Raises
    ------
    AgreementError
        If they are.
    """
    if (truth == truth[0]).all():
        raise AgreementError(f"all {len(truth)} accuracies are {truth[0]:g}, which is no order; leave this data set out.")


def place(k: int, models: int) -> None:
    """Refuse a number of picks that the pool does not have.

    Raises
    ------
    AgreementError
        If `k` is not 1 to the number of models.
    """
    if not 1 <= k <= models:
        raise AgreementError(f"k = {k} picks of a pool of {models}; take 1 to {models}.")
