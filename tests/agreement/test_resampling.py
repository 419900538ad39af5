"""Bootstrap intervals, sub-pools and the chance level."""

from functools import partial
from math import comb

import numpy as np
import pytest
from scipy import stats

from itm.agreement import (
    bootstrap_interval,
    chance_level,
    hit,
    leave_one_model_out,
    paired_difference,
    per_data_set,
    regret,
    relative_at_k,
    resampled_hit,
    resampled_regret,
    resampled_relative_at_k,
    resampled_weighted_tau,
    spread_over_sub_pools,
    sub_pools,
    weighted_tau,
    worst_case,
    worst_cases,
)
from itm.core.errors import AgreementError

pytestmark = pytest.mark.slow


def table(sets: int, models: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return accuracies, and strict ranks of the accuracies plus noise."""
    generator = np.random.default_rng(seed)
    truth = generator.normal(size=(sets, models))
    return truth, worst_cases(truth, truth + noise * generator.normal(size=truth.shape)).ranks


@pytest.mark.parametrize("levels", [3, 1000])
def test_resampled_tau_equals_scipy_on_repeated_rows(levels: int) -> None:
    generator = np.random.default_rng(levels)
    for models in (2, 3, 7, 23):
        truth = generator.integers(0, levels, models).astype(float)
        scores = generator.integers(0, levels, models).astype(float)
        counts = generator.multinomial(models, np.full(models, 1 / models), size=40)
        found = resampled_weighted_tau(truth, scores, counts)
        for count, tau in zip(counts, found, strict=True):
            rows = generator.permutation(np.repeat(np.arange(models), count))
            expected = stats.weightedtau(truth[rows], scores[rows], rank=True).statistic
            assert tau == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_statistics_of_single_pool_equal_plain_functions() -> None:
    truth, (ranks,) = np.array([80.0, 90.0, 70.0, 85.0]), table(1, 4, 0.5)[1]
    whole = np.ones((1, 4))
    assert resampled_weighted_tau(truth, ranks, whole)[0] == pytest.approx(weighted_tau(truth, ranks), abs=1e-12)
    assert resampled_regret(truth, ranks, whole)[0] == regret(truth, ranks)
    for k in (1, 2, 3):
        assert resampled_hit(truth, ranks, whole, k=k)[0] == hit(truth, ranks, k)
        assert resampled_relative_at_k(truth, ranks, whole, k=k)[0] == relative_at_k(truth, ranks, k)


def test_statistics_use_only_models_of_the_resample() -> None:
    truth, ranks = np.array([1.0, 2.0, 4.0, 3.0]), np.array([3.0, 2.0, 1.0, 0.0])
    counts = np.array([[1, 1, 1, 1], [0, 1, 1, 1], [0, 0, 2, 1], [3, 0, 0, 1], [0, 0, 0, 0]])
    assert resampled_regret(truth, ranks, counts).tolist()[:4] == [3.0, 2.0, 0.0, 2.0]
    assert resampled_hit(truth, ranks, counts, k=2).tolist()[:4] == [0.0, 1.0, 1.0, 1.0]
    assert resampled_relative_at_k(truth, ranks, counts).tolist()[:4] == [0.25, 0.5, 1.0, 1 / 3]
    for statistic in (resampled_regret, resampled_hit, resampled_relative_at_k, resampled_weighted_tau):
        assert np.isnan(statistic(truth, ranks, counts)[4])


def test_noise_lowers_mean_and_widens_interval() -> None:
    truth, ranks = table(6, 12, 0.0)
    perfect = bootstrap_interval(truth, ranks, resamples=200)
    assert (perfect.mean, perfect.low, perfect.high) == pytest.approx((1.0, 1.0, 1.0))
    found = [bootstrap_interval(*table(6, 12, noise), resamples=400) for noise in (0.2, 1.0)]
    assert found[0].mean > found[1].mean
    assert found[0].high - found[0].low < found[1].high - found[1].low
    for one in found:
        assert one.low < one.mean < one.high


@pytest.mark.parametrize("sets", [1, 8])
def test_interval_has_nominal_coverage(sets: int) -> None:
    expected = np.mean([per_data_set(*table(sets, 20, 1.0, 1000 + seed)).mean() for seed in range(300)])
    found = [bootstrap_interval(*table(sets, 20, 1.0, seed), resamples=300, seed=seed) for seed in range(100)]
    assert np.mean([one.low <= expected <= one.high for one in found]) >= 0.88
    assert np.mean([one.high - one.low for one in found]) < (0.8 if sets == 1 else 0.4)


def test_more_models_and_data_sets_narrow_the_interval() -> None:
    small, large = (bootstrap_interval(*table(sets, models, 1.0), resamples=300) for sets, models in ((3, 8), (12, 80)))
    assert large.high - large.low < 0.5 * (small.high - small.low)


def test_interval_depends_on_seed() -> None:
    truth, ranks = table(4, 10, 1.0)
    assert bootstrap_interval(truth, ranks, resamples=100, seed=1) == bootstrap_interval(truth, ranks, resamples=100, seed=1)
    assert bootstrap_interval(truth, ranks, resamples=100, seed=1) != bootstrap_interval(truth, ranks, resamples=100, seed=2)


def test_paired_difference_is_antisymmetric() -> None:
    truth, good = table(8, 15, 0.1)
    bad = table(8, 15, 3.0)[1]
    same = paired_difference(truth, good, good, resamples=100)
    assert (same.mean, same.low, same.high) == (0.0, 0.0, 0.0)
    more, less = paired_difference(truth, good, bad, resamples=400), paired_difference(truth, bad, good, resamples=400)
    assert more.low > 0
    assert (more.mean, more.low, more.high) == pytest.approx((-less.mean, -less.high, -less.low))
    assert more.mean == pytest.approx(bootstrap_interval(truth, good).mean - bootstrap_interval(truth, bad).mean)


def test_models_without_accuracy_are_excluded() -> None:
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


def test_undefined_data_sets_and_invalid_ranks_are_rejected() -> None:
    truth, ranks = table(3, 6, 0.5)
    with pytest.raises(AgreementError, match=r"undefined on data sets \[1\]"):
        bootstrap_interval(np.where(np.arange(3)[:, None] == 1, 0.5, truth), ranks)
    broken = ranks.copy()
    broken[0, 2] = np.nan
    with pytest.raises(AgreementError, match="1 ranks or accuracies are NaN or infinite"):
        bootstrap_interval(truth, broken)
    with pytest.raises(AgreementError, match="same shape"):
        bootstrap_interval(truth, ranks[:, :5])


def test_leave_one_model_out() -> None:
    truth, ranks = table(3, 6, 0.8)
    expected = [
        np.mean([weighted_tau(np.delete(t, out), np.delete(r, out)) for t, r in zip(truth, ranks, strict=True)])
        for out in range(6)
    ]
    assert leave_one_model_out(truth, ranks) == pytest.approx(expected, abs=1e-12)


def test_sub_pools_are_distinct() -> None:
    few = sub_pools(6, 3)
    assert len(few) == len(np.unique(few, axis=0)) == comb(6, 3)
    many = sub_pools(30, 10, limit=200, seed=3)
    assert len(many) == len(np.unique(many, axis=0)) == 200
    assert (many.sum(axis=1) == 10).all()
    assert (many == sub_pools(30, 10, limit=200, seed=3)).all()
    assert (many != sub_pools(30, 10, limit=200, seed=4)).any()
    with pytest.raises(AgreementError, match="sub-pools of 7 of 6 models; the size must be 2 to 6"):
        sub_pools(6, 7)


def test_small_sub_pools_spread_more_than_large_ones() -> None:
    truth, ranks = table(5, 12, 1.0)
    small, large, whole = (spread_over_sub_pools(truth, ranks, sub_pools(12, size)) for size in (4, 9, 12))
    assert small.deviation > large.deviation > whole.deviation == 0.0
    assert whole.mean == pytest.approx(per_data_set(truth, ranks).mean(), abs=1e-12)
    assert small.low < small.mean < small.high
    regrets = spread_over_sub_pools(truth, ranks, sub_pools(12, 4), statistic=resampled_regret)
    assert regrets.low >= 0


def test_partial_sets_options_of_a_statistic() -> None:
    truth, ranks = table(9, 10, 1.5)
    first, first_three = (per_data_set(truth, ranks, partial(resampled_hit, k=k)) for k in (1, 3))
    assert first_three.mean() > first.mean()


def test_chance_level_has_the_published_quantiles() -> None:
    assert chance_level(11) == pytest.approx(0.47, abs=0.02)
    assert chance_level(11, 11, orders=5000) == pytest.approx(0.14, abs=0.02)
    with pytest.raises(AgreementError, match="an order needs at least 2"):
        chance_level(1)


def test_chance_level_is_the_quantile_of_scipy_tau() -> None:
    generator, models = np.random.default_rng(1), 6
    truth = np.arange(models)
    taus = [stats.weightedtau(truth, generator.permutation(models), rank=True).statistic for _ in range(4000)]
    assert chance_level(models) == pytest.approx(np.quantile(taus, 0.95), abs=0.03)
