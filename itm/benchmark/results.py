"""Evaluation of the predictors of a pool: agreement with the ground truth, regret, and their uncertainty."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from itm.agreement import (
    Interval,
    Spread,
    bootstrap_interval,
    chance_level,
    leave_one_model_out,
    paired_difference,
    per_data_set,
    resampled_hit,
    resampled_regret,
    resampled_weighted_tau,
    spread_over_sub_pools,
    sub_pools,
    worst_cases,
)
from itm.benchmark.measurements import Measurements
from itm.benchmark.predictors import KINDS, RANDOM, Kind, Predictor, build_predictors

REFERENCE = "itm"
SUB_POOL = 10  # models, as in the paper
EVALUATION = 1  # raise it when a change of an agreement measure, a table or a figure changes what is written


@dataclass(frozen=True)
class SubPoolMeans:
    """Means over sub-pools of ten models. There are at most as many sub-pools as resamples."""

    worst: float
    regret: float
    top1: float


@dataclass(frozen=True)
class PredictorResult:
    """How well one predictor orders the models of one pool.

    Agreement is tau_w with the default weights of SciPy. Regret is in points of accuracy. `top1` and `top3` are the shares of
    data sets whose best model is ranked first, or among the first three. `failed` and `tied` are the numbers of (model, data)
    pairs without a value, and of pairs whose value equals that of another model.
    """

    name: str
    kind: Kind
    sets: tuple[str, ...]
    tau_by_set: tuple[float, ...]
    tau: Interval
    regret: float
    top1: float
    top3: float
    failed: int = 0
    tied: int = 0
    sub_pools: Spread | None = None
    sub_pool_means: SubPoolMeans | None = None
    leave_one_out: tuple[float, float] | None = None  # lowest and highest mean tau_w without one model
    difference_to_itm: Interval | None = None  # of mean tau_w, on the same resamples

    @property
    def worst(self) -> float:
        return min(self.tau_by_set)

    @property
    def worst_set(self) -> str:
        return self.sets[self.tau_by_set.index(self.worst)]


@dataclass(frozen=True)
class PoolResults:
    """Results of all predictors of one pool."""

    name: str
    models: tuple[str, ...]
    sets: tuple[str, ...]
    left_out: tuple[str, ...]  # data sets without accuracies of all models
    chance: float  # mean tau_w that 5 % of random orders reach
    results: tuple[PredictorResult, ...]


def evaluate_pool(name: str, measurements: Measurements, *, resamples: int, seed: int) -> PoolResults:
    """Evaluate all predictors of a pool. Results are sorted by kind, then by mean tau_w."""
    complete = measurements.complete()
    left_out = tuple(data for data in measurements.sets if data not in complete.sets)
    predictors = build_predictors(complete)
    reference = next((predictor for predictor in predictors if predictor.name == REFERENCE), None)
    results = [_evaluate_fully(predictor, reference, complete.sets, resamples, seed) for predictor in predictors]
    results.append(_evaluate_random(complete, resamples, seed))
    chance = chance_level(len(complete.models), len(complete.sets), seed=seed)
    return PoolResults(name, complete.models, complete.sets, left_out, chance, sort_results(results))


def sort_results(results: list[PredictorResult]) -> tuple[PredictorResult, ...]:
    """Return the results sorted by kind, then by decreasing mean tau_w, then by name."""
    return tuple(sorted(results, key=lambda result: (KINDS.index(result.kind), -result.tau.mean, result.name)))


def evaluate_predictor(predictor: Predictor, sets: tuple[str, ...], resamples: int, seed: int) -> PredictorResult:
    """Evaluate one predictor. `sets` are the data sets of its values."""
    truth, models = predictor.truth, predictor.truth.shape[1]
    case = worst_cases(truth, predictor.values)
    statistics = resampled_regret, resampled_hit, partial(resampled_hit, k=min(3, models))
    regret, top1, top3 = (float(per_data_set(truth, case.ranks, statistic).mean()) for statistic in statistics)
    return PredictorResult(
        name=predictor.name,
        kind=predictor.kind,
        sets=sets,
        tau_by_set=tuple(per_data_set(truth, case.ranks).tolist()),
        tau=bootstrap_interval(truth, case.ranks, resamples=resamples, seed=seed),
        regret=regret,
        top1=top1,
        top3=top3,
        failed=case.failed,
        tied=case.tied,
        sub_pools=spread_over_sub_pools(truth, case.ranks, _sub_pools(models, resamples, seed)) if models > SUB_POOL else None,
    )


def _evaluate_fully(
    predictor: Predictor, reference: Predictor | None, sets: tuple[str, ...], resamples: int, seed: int
) -> PredictorResult:
    """Evaluate one predictor, with sub-pools, each model left out, and the difference to ITM."""
    result = evaluate_predictor(predictor, sets, resamples, seed)
    truth, ranks = predictor.truth, worst_cases(predictor.truth, predictor.values).ranks
    without = leave_one_model_out(truth, ranks)
    means = _sub_pool_means(truth, ranks, resamples, seed) if result.sub_pools else None
    result = replace(result, leave_one_out=(float(np.nanmin(without)), float(np.nanmax(without))), sub_pool_means=means)
    if reference is None or reference.name == predictor.name or truth is not reference.truth:
        return result
    other = worst_cases(reference.truth, reference.values).ranks
    return replace(result, difference_to_itm=paired_difference(truth, ranks, other, resamples=resamples, seed=seed))


def _sub_pools(models: int, resamples: int, seed: int) -> np.ndarray:
    return sub_pools(models, SUB_POOL, limit=resamples, seed=seed)


def _sub_pool_means(truth: np.ndarray, ranks: np.ndarray, resamples: int, seed: int) -> SubPoolMeans:
    pools = _sub_pools(truth.shape[1], resamples, seed)
    taus = [spread_over_sub_pools(truth[row, None], ranks[row, None], pools).mean for row in range(len(truth))]
    regret, top1 = (
        spread_over_sub_pools(truth, ranks, pools, statistic=statistic).mean for statistic in (resampled_regret, resampled_hit)
    )
    return SubPoolMeans(min(taus), regret, top1)


def _evaluate_random(measurements: Measurements, resamples: int, seed: int) -> PredictorResult:
    """Return the mean over random orders. The interval contains 95 % of the orders."""
    values = np.array(list(_random_statistics(measurements.truth, resamples, seed)))  # [resamples, statistics, sets]
    tau, regret, top1, top3 = values.transpose(1, 0, 2)
    low, high = np.quantile(tau.mean(axis=1), [0.025, 0.975])
    return PredictorResult(
        name=RANDOM,
        kind="control",
        sets=measurements.sets,
        tau=Interval(float(tau.mean()), float(low), float(high)),
        tau_by_set=tuple(tau.mean(axis=0).tolist()),
        regret=float(regret.mean()),
        top1=float(top1.mean()),
        top3=float(top3.mean()),
    )


def _random_statistics(truth: np.ndarray, resamples: int, seed: int) -> Iterator[np.ndarray]:
    generator = np.random.default_rng(seed)
    top3 = partial(resampled_hit, k=min(3, truth.shape[1]))
    statistics = (resampled_weighted_tau, resampled_regret, resampled_hit, top3)
    for _ in range(resamples):
        ranks = worst_cases(truth, generator.random(truth.shape)).ranks
        yield np.array([per_data_set(truth, ranks, statistic) for statistic in statistics])
