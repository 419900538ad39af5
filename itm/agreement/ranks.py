"""From the scores of a real table to a strict order in which failures and ties count against the score."""

from dataclasses import dataclass

import numpy as np

from itm.agreement.checks import models_of
from itm.core.errors import AgreementError


@dataclass(frozen=True)
class WorstCase:
    """A strict order and what had to be decided to get it.

    `ranks` are 0 to models - 1, the highest for the best; `failed` counts values that were NaN or infinite, `tied` the models
    that shared a finite value with another.
    """

    ranks: np.ndarray
    failed: int
    tied: int


def worst_case(truth: np.ndarray, scores: np.ndarray) -> WorstCase:
    """Return the strict order of `scores` [m] in which failures come last and every tied pair is ordered against `truth` [m].

    A failed model is given as NaN; infinity is no value either. Failures are tied with one another. Where accuracies are equal
    as well, the models keep the order given, which changes no agreement.

    Raises
    ------
    AgreementError
        If the two are not one number for each of the same two or more models, or an accuracy is NaN or infinite.
    """
    truth, scores = models_of(truth, scores)
    valued = np.isfinite(scores)
    known = np.where(valued, scores, 0.0)
    ranks = np.empty(len(truth))
    ranks[np.lexsort((-truth, known, valued))] = np.arange(len(truth))
    _, shared = np.unique(scores[valued], return_counts=True)
    return WorstCase(ranks, failed=int((~valued).sum()), tied=int(shared[shared > 1].sum()))


def worst_cases(truth: np.ndarray, scores: np.ndarray) -> WorstCase:
    """Return `worst_case` of every row of [data sets, models]; models without an accuracy (NaN) take no part, with NaN ranks.

    Raises
    ------
    AgreementError
        If the shapes differ, or a data set has accuracies of fewer than two models.
    """
    truth, scores = np.asarray(truth, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if truth.ndim != 2 or truth.shape != scores.shape:
        raise AgreementError(f"accuracies {truth.shape} and scores {scores.shape} must be [data sets, models] alike.")
    ranks = np.full(truth.shape, np.nan)
    failed = tied = 0
    for row, known in enumerate(~np.isnan(truth)):
        one = worst_case(truth[row, known], scores[row, known])
        ranks[row, known] = one.ranks
        failed, tied = failed + one.failed, tied + one.tied
    return WorstCase(ranks, failed, tied)
