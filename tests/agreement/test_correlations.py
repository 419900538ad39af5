"""Correlations have the values of SciPy, reject invalid input, and count failures and ties against the score."""

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from itm.agreement import hit, pearson, regret, relative_at_k, spearman, tau_b, weighted_tau, worst_case, worst_cases
from itm.core.errors import AgreementError

TRUTH = np.array([84.1, 84.6, 85.5, 80.2, 77.0, 82.3, 82.3])
SCORES = np.array([0.93, 0.95, 0.94, 0.91, 0.96, 0.91, 0.90])
CORRELATIONS = (weighted_tau, tau_b, spearman, pearson)
ALL_MEASURES = (
    *CORRELATIONS,
    regret,
    lambda truth, scores: relative_at_k(truth, scores, 1),
    lambda truth, scores: hit(truth, scores, 1),
)
Agreement = Callable[[np.ndarray, np.ndarray], float]


def test_values_equal_scipy() -> None:
    assert weighted_tau(TRUTH, SCORES) == stats.weightedtau(TRUTH, SCORES).statistic
    assert weighted_tau(TRUTH, SCORES, convention="truth") == stats.weightedtau(TRUTH, SCORES, rank=None).statistic
    assert weighted_tau(TRUTH, SCORES) != weighted_tau(TRUTH, SCORES, convention="truth")
    assert tau_b(TRUTH, SCORES) == stats.kendalltau(TRUTH, SCORES).statistic
    assert spearman(TRUTH, SCORES) == stats.spearmanr(TRUTH, SCORES).statistic
    assert pearson(TRUTH, SCORES) == stats.pearsonr(TRUTH, SCORES).statistic


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("agreement", ALL_MEASURES)
def test_nan_and_infinity_are_rejected(agreement: Agreement, bad: float) -> None:
    broken = SCORES.copy()
    broken[[1, 4]] = bad
    with pytest.raises(AgreementError, match=r"2 of 7 scores are NaN or infinite; use worst_case"):
        agreement(TRUTH, broken)
    with pytest.raises(AgreementError, match=r"2 of 7 accuracies are NaN or infinite; leave those models out"):
        agreement(broken, SCORES)


@pytest.mark.parametrize("agreement", [*ALL_MEASURES, worst_case])
def test_invalid_shapes_are_rejected(agreement: Agreement) -> None:
    with pytest.raises(AgreementError, match="1 models; an order needs at least 2"):
        agreement(TRUTH[:1], SCORES[:1])
    with pytest.raises(AgreementError, match=r"accuracies \(7,\) and scores \(6,\)"):
        agreement(TRUTH, SCORES[:6])
    with pytest.raises(AgreementError, match="must be one number per model"):
        agreement(TRUTH[None], SCORES[None])


@pytest.mark.parametrize("agreement", CORRELATIONS)
def test_constant_input_is_rejected(agreement: Agreement) -> None:
    with pytest.raises(AgreementError, match=r"all 7 accuracies are 50, which is no order; leave this data set out"):
        agreement(np.full(7, 50.0), SCORES)
    with pytest.raises(AgreementError, match=r"all 7 scores are 0.5, which is no order"):
        agreement(TRUTH, np.full(7, 0.5))


@pytest.mark.parametrize("agreement", [weighted_tau, tau_b, spearman])
def test_rank_correlations_depend_only_on_ranks(agreement: Agreement) -> None:
    assert agreement(TRUTH, np.exp(9 * SCORES)) == pytest.approx(agreement(TRUTH, SCORES), abs=1e-12)
    assert agreement(np.log(TRUTH), SCORES) == pytest.approx(agreement(TRUTH, SCORES), abs=1e-12)
    if agreement is not weighted_tau:
        assert agreement(TRUTH, -SCORES) == pytest.approx(-agreement(TRUTH, SCORES), abs=1e-12)


def test_failed_models_are_last() -> None:
    found = worst_case(np.array([4.0, 3.0, 2.0, 1.0, 0.0]), np.array([np.nan, -9.0, np.inf, -8.0, -np.inf]))
    assert found.ranks.tolist() == [0.0, 3.0, 1.0, 4.0, 2.0]
    assert (found.failed, found.tied) == (3, 0)


def test_ties_are_ordered_against_accuracies() -> None:
    truth, scores = np.array([5.0, 4.0, 3.0, 2.0, 1.0]), np.array([7.0, 7.0, 9.0, 7.0, 1.0])
    found = worst_case(truth, scores)
    assert found.ranks.tolist() == [1.0, 2.0, 4.0, 3.0, 0.0]
    assert (found.failed, found.tied) == (0, 3)


def test_worst_case_has_the_lowest_tau_b_and_highest_regret() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        truth, scores = generator.permutation(6.0 + np.arange(6)), generator.integers(0, 3, 6).astype(float)
        ranks = worst_case(truth, scores).ranks
        allowed = [
            np.array(order, dtype=float)
            for order in permutations(range(6))
            if all((order[i] > order[j]) or scores[i] <= scores[j] for i in range(6) for j in range(6))
        ]
        assert any((ranks == order).all() for order in allowed)
        assert tau_b(truth, ranks) == pytest.approx(min(tau_b(truth, order) for order in allowed))
        assert regret(truth, ranks) == max(regret(truth, order) for order in allowed) == regret(truth, scores)


def test_constant_score_has_tau_minus_one() -> None:
    assert weighted_tau(TRUTH[:5], worst_case(TRUTH[:5], np.zeros(5)).ranks) == -1.0


def test_strict_scores_keep_their_order() -> None:
    scores = SCORES + np.arange(7) / 1000
    found = worst_case(TRUTH, scores)
    assert (found.failed, found.tied) == (0, 0)
    assert weighted_tau(TRUTH, found.ranks) == weighted_tau(TRUTH, scores)


def test_worst_cases_ranks_each_row() -> None:
    truth = np.array([[3.0, np.nan, 1.0], [3.0, 2.0, 1.0]])
    found = worst_cases(truth, np.array([[1.0, 5.0, 1.0], [9.0, np.nan, 8.0]]))
    assert found.ranks[0, [0, 2]].tolist() == [0.0, 1.0]
    assert np.isnan(found.ranks[0, 1])
    assert found.ranks[1].tolist() == [2.0, 0.0, 1.0]
    assert (found.failed, found.tied) == (1, 2)
    with pytest.raises(AgreementError, match="same shape"):
        worst_cases(truth, truth[:1])
