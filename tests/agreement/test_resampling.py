"""Resamples, sub-pools and chance: the batched tau_w is SciPy's, and intervals behave."""

from functools import partial
from math import comb

import numpy as np
import pytest
from scipy import stats

from itm.agreement import (
    Convention,
    counted_hit,
    counted_regret,
    counted_relative_at_k,
    counted_weighted_tau,
    hit,
    intervals,
    leave_one_model_out,
    over_sub_pools,
    paired_difference,
    per_data_set,
    random_ranker,
    regret,
    relative_at_k,
    sub_pools,
    weighted_tau,
    worst_case,
    worst_cases,
)
from itm.core.errors import AgreementError

RANK: dict[Convention, bool | None] = {"scipy": True, "truth": None}


def table(sets: int, models: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return accuracies and strict ranks of a score that is the accuracy with noise added."""
    generator = np.random.default_rng(seed)
    truth = generator.normal(size=(sets, models))
    return truth, worst_cases(truth, truth + noise * generator.normal(size=truth.shape)).ranks


@pytest.mark.parametrize("convention", ["scipy", "truth"])
@pytest.mark.parametrize("levels", [3, 1000])
def test_counts_give_what_scipy_gives_for_repeated_rows(levels: int, convention: Convention) -> None:
    """On resamples with copies, with ties on one side and on both, the batched tau_w is SciPy's to 1e-12."""
    generator = np.random.default_rng(levels)
    for models in (2, 3, 7, 23):
        truth = generator.integers(0, levels, models).astype(float)
        scores = generator.integers(0, levels, models).astype(float)
        counts = generator.multinomial(models, np.full(models, 1 / models), size=40)
        found = counted_weighted_tau(truth, scores, counts, convention=convention)
        for draw, tau in zip(counts, found, strict=True):
            rows = generator.permutation(np.repeat(np.arange(models), draw))
            expected = stats.weightedtau(truth[rows], scores[rows], rank=RANK[convention]).statistic
            assert tau == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_counts_of_one_give_the_single_values() -> None:
    """Each counted statistic of the whole pool is the function of the same name."""
    truth, (ranks,) = np.array([80.0, 90.0, 70.0, 85.0]), table(1, 4, 0.5)[1]
    whole = np.ones((1, 4))
    assert counted_weighted_tau(truth, ranks, whole)[0] == pytest.approx(weighted_tau(truth, ranks), abs=1e-12)
    assert counted_regret(truth, ranks, whole)[0] == regret(truth, ranks)
    for k in (1, 2, 3):
        assert counted_hit(truth, ranks, whole, k=k)[0] == hit(truth, ranks, k)
        assert counted_relative_at_k(truth, ranks, whole, k=k)[0] == relative_at_k(truth, ranks, k)


def test_picks_are_made_among_the_models_kept() -> None:
    """Without the model that the score likes best, its next is picked; copies are one pick, and no model is no value."""
    truth, ranks = np.array([1.0, 2.0, 4.0, 3.0]), np.array([3.0, 2.0, 1.0, 0.0])
    counts = np.array([[1, 1, 1, 1], [0, 1, 1, 1], [0, 0, 2, 1], [3, 0, 0, 1], [0, 0, 0, 0]])
    assert counted_regret(truth, ranks, counts).tolist()[:4] == [3.0, 2.0, 0.0, 2.0]
    assert counted_hit(truth, ranks, counts, k=2).tolist()[:4] == [0.0, 1.0, 1.0, 1.0]
    assert counted_relative_at_k(truth, ranks, counts).tolist()[:4] == [0.25, 0.5, 1.0, 1 / 3]
    for statistic in (counted_regret, counted_hit, counted_relative_at_k, counted_weighted_tau):
        assert np.isnan(statistic(truth, ranks, counts)[4])


def test_a_perfect_score_is_certain_and_noise_is_not() -> None:
    """The interval of the truth itself is 1 to 1; more noise has a lower mean, inside a wider interval."""
    truth, ranks = table(6, 12, 0.0)
    perfect = intervals(truth, ranks, draws=200)
    assert (perfect.mean, perfect.low, perfect.high) == pytest.approx((1.0, 1.0, 1.0))
    found = [intervals(*table(6, 12, noise), draws=400) for noise in (0.2, 1.0)]
    assert found[0].mean > found[1].mean
    assert found[0].high - found[0].low < found[1].high - found[1].low
    for one in found:
        assert one.low < one.mean < one.high


@pytest.mark.parametrize("sets", [1, 8])
def test_an_interval_holds_the_expected_value_about_as_often_as_it_says(sets: int) -> None:
    """The 95 % interval of a small pool holds the mean of many such pools at least 88 times in 100, yet is no wide guess."""
    expected = np.mean([per_data_set(*table(sets, 20, 1.0, 1000 + seed)).mean() for seed in range(300)])
    found = [intervals(*table(sets, 20, 1.0, seed), draws=300, seed=seed) for seed in range(100)]
    assert np.mean([one.low <= expected <= one.high for one in found]) >= 0.88
    assert np.mean([one.high - one.low for one in found]) < (0.8 if sets == 1 else 0.4)


def test_more_models_and_data_sets_narrow_the_interval() -> None:
    """Ten times the pool and four times the data sets leave a clearly narrower interval."""
    small, large = (intervals(*table(sets, models, 1.0), draws=300) for sets, models in ((3, 8), (12, 80)))
    assert large.high - large.low < 0.5 * (small.high - small.low)


def test_draws_are_those_of_the_seed() -> None:
    """The same seed gives the same interval to the last bit, another seed another one."""
    truth, ranks = table(4, 10, 1.0)
    assert intervals(truth, ranks, draws=100, seed=1) == intervals(truth, ranks, draws=100, seed=1)
    assert intervals(truth, ranks, draws=100, seed=1) != intervals(truth, ranks, draws=100, seed=2)


def test_paired_differences() -> None:
    """A score differs from itself by exactly 0; a better one differs clearly, and the other way round by the same amount."""
    truth, good = table(8, 15, 0.1)
    bad = table(8, 15, 3.0)[1]
    same = paired_difference(truth, good, good, draws=100)
    assert (same.mean, same.low, same.high) == (0.0, 0.0, 0.0)
    more, less = paired_difference(truth, good, bad, draws=400), paired_difference(truth, bad, good, draws=400)
    assert more.low > 0
    assert (more.mean, more.low, more.high) == pytest.approx((-less.mean, -less.high, -less.low))
    assert more.mean == pytest.approx(intervals(truth, good).mean - intervals(truth, bad).mean)


def test_models_without_an_accuracy_take_no_part() -> None:
    """A model that one data set lacks leaves that data set's value as if it were not in the pool."""
    truth, ranks = table(2, 8, 0.7)
    truth[0, 3] = np.nan
    known = np.arange(8) != 3
    whole = worst_cases(truth, ranks).ranks
    values = per_data_set(truth, whole)
    assert values[0] == pytest.approx(
        weighted_tau(truth[0, known], worst_case(truth[0, known], ranks[0, known]).ranks), abs=1e-12
    )
    assert values[1] == pytest.approx(weighted_tau(truth[1], ranks[1]), abs=1e-12)
    assert np.isfinite(leave_one_model_out(truth, whole)).all()


def test_what_has_no_order_is_refused_by_its_number() -> None:
    """A data set of equal accuracies, ranks with gaps, and shapes that differ all raise."""
    truth, ranks = table(3, 6, 0.5)
    with pytest.raises(AgreementError, match=r"undefined on data sets \[1\]"):
        intervals(np.where(np.arange(3)[:, None] == 1, 0.5, truth), ranks)
    broken = ranks.copy()
    broken[0, 2] = np.nan
    with pytest.raises(AgreementError, match="1 ranks or accuracies are NaN or infinite"):
        intervals(truth, broken)
    with pytest.raises(AgreementError, match="alike"):
        intervals(truth, ranks[:, :5])


def test_each_model_is_left_out_once() -> None:
    """The values are those of the pools without each model."""
    truth, ranks = table(3, 6, 0.8)
    expected = [
        np.mean([weighted_tau(np.delete(t, out), np.delete(r, out)) for t, r in zip(truth, ranks, strict=True)])
        for out in range(6)
    ]
    assert leave_one_model_out(truth, ranks) == pytest.approx(expected, abs=1e-12)


def test_sub_pools_are_all_of_them_or_different_ones() -> None:
    """Few sub-pools are all taken; of many, as many different ones as asked are drawn, the same for the same seed."""
    few = sub_pools(6, 3)
    assert len(few) == len(np.unique(few, axis=0)) == comb(6, 3)
    many = sub_pools(30, 10, limit=200, seed=3)
    assert len(many) == len(np.unique(many, axis=0)) == 200
    assert (many.sum(axis=1) == 10).all()
    assert (many == sub_pools(30, 10, limit=200, seed=3)).all()
    assert (many != sub_pools(30, 10, limit=200, seed=4)).any()
    with pytest.raises(AgreementError, match="sub-pools of 7 from 6 models; take 2 to 6"):
        sub_pools(6, 7)


def test_small_sub_pools_spread_more_than_large_ones() -> None:
    """The standard deviation over sub-pools falls with their size to 0 for the whole pool, whose value is the mean."""
    truth, ranks = table(5, 12, 1.0)
    small, large, whole = (over_sub_pools(truth, ranks, sub_pools(12, size)) for size in (4, 9, 12))
    assert small.deviation > large.deviation > whole.deviation == 0.0
    assert whole.mean == pytest.approx(per_data_set(truth, ranks).mean(), abs=1e-12)
    assert small.low < small.mean < small.high
    regrets = over_sub_pools(truth, ranks, sub_pools(12, 4), statistic=counted_regret)
    assert regrets.low >= 0


def test_options_of_a_statistic_are_given_by_partial() -> None:
    """The hit rate among the first three is at least that of the first, and under another convention tau_w differs."""
    truth, ranks = table(9, 10, 1.5)
    assert (
        intervals(truth, ranks, statistic=partial(counted_hit, k=3)).mean >= intervals(truth, ranks, statistic=counted_hit).mean
    )
    by_truth = partial(counted_weighted_tau, convention="truth")
    assert intervals(truth, ranks, statistic=by_truth).mean != intervals(truth, ranks).mean


def test_random_ranker_has_the_published_quantiles() -> None:
    """The 95 % point is 0.47 on one data set of eleven models and 0.14 on the mean of eleven data sets."""
    assert random_ranker(11) == pytest.approx(0.47, abs=0.02)
    assert random_ranker(11, 11, draws=5000) == pytest.approx(0.14, abs=0.02)
    assert random_ranker(11, quantile=0.5) == pytest.approx(0.0, abs=0.02)
    with pytest.raises(AgreementError, match="an order needs 2"):
        random_ranker(1)


@pytest.mark.parametrize("convention", ["scipy", "truth"])
def test_random_ranker_is_the_quantile_of_scipys_tau(convention: Convention) -> None:
    """Counting concordant pairs gives the distribution that SciPy's tau_w of shuffled orders has."""
    generator, models = np.random.default_rng(1), 6
    truth = np.arange(models)
    taus = [stats.weightedtau(truth, generator.permutation(models), rank=RANK[convention]).statistic for _ in range(4000)]
    assert random_ranker(models, convention=convention) == pytest.approx(np.quantile(taus, 0.95), abs=0.03)
