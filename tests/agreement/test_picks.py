"""Regret, hits and Rel@k against values computed by hand."""

import numpy as np
import pytest

from itm.agreement import hit, regret, relative_at_k
from itm.core.errors import AgreementError

TRUTH = np.array([80.0, 90.0, 70.0, 85.0])
SCORES = np.array([0.9, 0.5, 0.8, 0.7])


def test_regret_is_the_accuracy_lost() -> None:
    assert regret(TRUTH, SCORES) == 10.0
    assert regret(TRUTH, TRUTH) == 0.0
    assert regret(TRUTH / 100, SCORES) == pytest.approx(0.1)


def test_best_of_first_k() -> None:
    assert [relative_at_k(TRUTH, SCORES, k) for k in (1, 2, 3, 4)] == [80 / 90, 80 / 90, 85 / 90, 1.0]
    assert [hit(TRUTH, SCORES, k) for k in (1, 2, 3, 4)] == [False, False, False, True]


def test_worst_model_counts_for_ties_at_the_border() -> None:
    tied = np.array([1.0, 1.0, 1.0, 0.0])
    assert regret(TRUTH, tied) == 20.0
    assert [hit(TRUTH, tied, k) for k in (1, 2, 3)] == [False, False, True]
    assert [relative_at_k(TRUTH, tied, k) for k in (1, 2)] == [70 / 90, 80 / 90]


def test_any_of_several_best_models_is_a_hit() -> None:
    truth = np.array([90.0, 90.0, 10.0])
    assert hit(truth, np.array([0.0, 9.0, 1.0]))
    assert hit(truth, np.array([9.0, 0.0, 1.0]))
    assert regret(truth, np.array([0.0, 9.0, 1.0])) == 0.0


@pytest.mark.parametrize("k", [0, 5])
def test_k_outside_pool_is_rejected(k: int) -> None:
    with pytest.raises(AgreementError, match=rf"k is {k} for a pool of 4 models; it must be 1 to 4"):
        hit(TRUTH, SCORES, k)
    with pytest.raises(AgreementError, match="must be 1 to 4"):
        relative_at_k(TRUTH, SCORES, k)


def test_relative_accuracy_needs_positive_best() -> None:
    with pytest.raises(AgreementError, match="unless it is above 0"):
        relative_at_k(np.array([-1.0, 0.0]), np.array([1.0, 2.0]), 1)
