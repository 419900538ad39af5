"""Strict ranks from real scores. Failures and ties count against the score."""

from dataclasses import dataclass

import numpy as np

from itm.core.errors import AgreementError


@dataclass(frozen=True)
class WorstCase:
    """Strict ranks from 0 to models - 1, and the number of scores that failed (NaN or infinite) or were tied.

    The best model has the highest rank. Tied models share a finite score with another model.
    """

    ranks: np.ndarray
    failed: int
    tied: int


def worst_case(truth: np.ndarray, scores: np.ndarray) -> WorstCase:
    """Return ranks of `scores` [m] that put failed models last and order tied models against `truth` [m].

    A failed model has the score NaN or infinity. Failed models are tied with each other. Models with equal scores and equal
    accuracies keep their order, which does not affect any agreement.
    """
    truth, scores = check_shapes(truth, scores)
    valid = np.isfinite(scores)
    known = np.where(valid, scores, 0.0)
    ranks = np.empty(len(truth))
    ranks[np.lexsort((-truth, known, valid))] = np.arange(len(truth))
    _, shared = np.unique(scores[valid], return_counts=True)
    return WorstCase(ranks, failed=int((~valid).sum()), tied=int(shared[shared > 1].sum()))


def worst_cases(truth: np.ndarray, scores: np.ndarray) -> WorstCase:
    """Return the `worst_case` of each row of [data sets, models]. Models without an accuracy (NaN) get NaN ranks."""
    truth, scores = np.asarray(truth, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if truth.ndim != 2 or truth.shape != scores.shape:
        raise AgreementError(
            f"accuracies {truth.shape} and scores {scores.shape} must have the same shape [data sets, models]."
        )
    ranks = np.full(truth.shape, np.nan)
    failed = tied = 0
    for row, known in enumerate(~np.isnan(truth)):
        case = worst_case(truth[row, known], scores[row, known])
        ranks[row, known] = case.ranks
        failed, tied = failed + case.failed, tied + case.tied
    return WorstCase(ranks, failed, tied)


def check_shapes(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both arrays [m] as float64 after checking their shapes, the number of models, and that accuracies are finite."""
    truth, scores = np.asarray(truth, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != scores.shape:
        raise AgreementError(
            f"accuracies {truth.shape} and scores {scores.shape} must be one number per model, for the same models."
        )
    if len(truth) < 2:
        raise AgreementError(f"{len(truth)} models; an order needs at least 2.")
    if missing := int((~np.isfinite(truth)).sum()):
        raise AgreementError(f"{missing} of {len(truth)} accuracies are NaN or infinite; leave those models out.")
    return truth, scores
