"""Regret, hits and shares of the best accuracy, computed by hand."""

import numpy as np
import pytest

from itm.agreement import hit, recall_at_k, regret, relative_at_k
from itm.core.errors import AgreementError

TRUTH = np.array([80.0, 90.0, 70.0, 85.0])
SCORES = np.array([0.9, 0.5, 0.8, 0.7])


def test_regret_is_what_the_pick_costs_in_points() -> None:
    """The pick has 80 where 90 was to be had; a perfect score costs nothing."""
    assert regret(TRUTH, SCORES) == 10.0
    assert regret(TRUTH, TRUTH) == 0.0
    assert regret(TRUTH / 100, SCORES) == pytest.approx(0.1)


def test_the_best_of_the_first_k_counts() -> None:
    """By score the order is 80, 70, 85, 90, so the best so far is 80, 80, 85, 90 of 90."""
    assert [relative_at_k(TRUTH, SCORES, k) for k in (1, 2, 3, 4)] == [80 / 90, 80 / 90, 85 / 90, 1.0]
    assert [hit(TRUTH, SCORES, k) for k in (1, 2, 3, 4)] == [False, False, False, True]


def test_ties_at_the_border_take_the_worst() -> None:
    """Of three models with the highest score the worst is picked first, and the best comes in only as the third."""
    tied = np.array([1.0, 1.0, 1.0, 0.0])
    assert regret(TRUTH, tied) == 20.0
    assert [hit(TRUTH, tied, k) for k in (1, 2, 3)] == [False, False, True]
    assert [relative_at_k(TRUTH, tied, k) for k in (1, 2)] == [70 / 90, 80 / 90]


def test_one_of_several_best_will_do() -> None:
    """Where two models share the highest accuracy, either is a hit and costs nothing."""
    truth = np.array([90.0, 90.0, 10.0])
    assert hit(truth, np.array([0.0, 9.0, 1.0]))
    assert hit(truth, np.array([9.0, 0.0, 1.0]))
    assert regret(truth, np.array([0.0, 9.0, 1.0])) == 0.0


def test_recall_is_the_share_of_data_sets_with_a_hit() -> None:
    """One of two data sets has its best model first; a failed model comes last, and one without an accuracy is left out."""
    truth = np.array([[3.0, 2.0, 1.0], [3.0, np.nan, 1.0]])
    scores = np.array([[9.0, 8.0, np.nan], [np.nan, 8.0, 1.0]])
    assert recall_at_k(truth, scores, 1) == 0.5
    assert recall_at_k(truth, scores, 2) == 1.0
    with pytest.raises(AgreementError, match="k = 3 picks of a pool of 2"):
        recall_at_k(truth, scores, 3)


@pytest.mark.parametrize("k", [0, 5])
def test_more_picks_than_models_are_refused(k: int) -> None:
    """There are 1 to 4 picks of four models."""
    with pytest.raises(AgreementError, match=rf"k = {k} picks of a pool of 4; take 1 to 4"):
        hit(TRUTH, SCORES, k)
    with pytest.raises(AgreementError, match="take 1 to 4"):
        relative_at_k(TRUTH, SCORES, k)


def test_a_share_of_nothing_is_refused() -> None:
    """Rel@k divides by the best accuracy, which must be above 0."""
    with pytest.raises(AgreementError, match="unless it is above 0"):
        relative_at_k(np.array([-1.0, 0.0]), np.array([1.0, 2.0]), 1)
