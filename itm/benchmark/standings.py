"""How every contender stands in a pool: agreement with the ground truth, what its pick costs, and how sure that is."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from itm.agreement import (
    Interval,
    Spread,
    counted_hit,
    counted_regret,
    counted_weighted_tau,
    intervals,
    leave_one_model_out,
    over_sub_pools,
    paired_difference,
    per_data_set,
    random_ranker,
    sub_pools,
    worst_cases,
)
from itm.benchmark.contenders import KINDS, RANDOM, Contender, Kind, contenders
from itm.benchmark.measured import Measured

REFERENCE = "itm"
SUB_POOL = 10  # models, as in the paper


@dataclass(frozen=True)
class OverSubPools:
    """The same figures as means over sub-pools of ten models: all of them, or as many as there are draws."""

    worst: float
    regret: float
    top1: float


@dataclass(frozen=True)
class Standing:
    """One contender in one pool. Agreement is tau_w as SciPy's default has it, regret is in points of accuracy.

    `by_set` holds the tau_w of every one of `sets`, `sub_pools` its mean over them in pools of ten models. `top1` and `top3`
    are the shares of data sets whose best model is the pick or among the first three. `failed` and `tied` count pairs that were
    put last or last among their equals. `without_one` is the lowest and highest mean tau_w with a model left out, `against_itm`
    the difference to ITM on the same draws.
    """

    name: str
    kind: Kind
    sets: tuple[str, ...]
    by_set: tuple[float, ...]
    tau: Interval
    regret: float
    top1: float
    top3: float
    failed: int = 0
    tied: int = 0
    sub_pools: Spread | None = None
    over_sub_pools: OverSubPools | None = None
    without_one: tuple[float, float] | None = None
    against_itm: Interval | None = None

    @property
    def worst(self) -> float:
        """Return the lowest tau_w of a data set."""
        return min(self.by_set)

    @property
    def worst_set(self) -> str:
        """Return the data set on which tau_w is lowest."""
        return self.sets[self.by_set.index(self.worst)]


@dataclass(frozen=True)
class PoolStandings:
    """A pool, the tau_w that one in twenty random orders reaches, as a mean over its data sets, and all who stood in it.

    `left_out` are the data sets on which not every model of the pool was fine-tuned.
    """

    name: str
    models: tuple[str, ...]
    sets: tuple[str, ...]
    left_out: tuple[str, ...]
    chance: float
    standings: tuple[Standing, ...]


def standings(name: str, measured: Measured, *, draws: int, seed: int) -> PoolStandings:
    """Return how every contender stands in a pool, the highest mean tau_w first within each kind.

    Raises
    ------
    DataError
        If there is no data set on which every model was fine-tuned.
    AgreementError
        If the accuracies of a data set leave no order.
    """
    left_out, measured = measured.sets, measured.complete()
    left_out = tuple(one for one in left_out if one not in measured.sets)
    asked = contenders(measured)
    reference = next((one for one in asked if one.name == REFERENCE), None)
    found = [_compared(standing(one, measured.sets, draws, seed), one, reference, draws, seed) for one in asked]
    found.append(_random(measured, draws, seed))
    chance = random_ranker(len(measured.models), len(measured.sets), seed=seed)
    return PoolStandings(name, measured.models, measured.sets, left_out, chance, in_order(found))


def in_order(found: list[Standing]) -> tuple[Standing, ...]:
    """Return scores, controls and ceilings in turn, of each the highest mean tau_w first."""
    return tuple(sorted(found, key=lambda one: (KINDS.index(one.kind), -one.tau.mean, one.name)))


def standing(one: Contender, sets: tuple[str, ...], draws: int, seed: int) -> Standing:
    """Return how a contender stands by itself; `sets` are the data sets of its values.

    Raises
    ------
    AgreementError
        If the accuracies of a data set leave no order.
    """
    case, models = worst_cases(one.truth, one.values), one.truth.shape[1]
    figures = counted_regret, counted_hit, partial(counted_hit, k=min(3, models))
    regret, top1, top3 = (float(per_data_set(one.truth, case.ranks, figure).mean()) for figure in figures)
    return Standing(
        name=one.name,
        kind=one.kind,
        sets=sets,
        by_set=tuple(per_data_set(one.truth, case.ranks).tolist()),
        tau=intervals(one.truth, case.ranks, draws=draws, seed=seed),
        regret=regret,
        top1=top1,
        top3=top3,
        failed=case.failed,
        tied=case.tied,
        sub_pools=over_sub_pools(one.truth, case.ranks, _sub_pools(models, draws, seed)) if models > SUB_POOL else None,
    )


def _compared(found: Standing, one: Contender, reference: Contender | None, draws: int, seed: int) -> Standing:
    """Add what takes a closer look: sub-pools, each model left out, and the difference to ITM."""
    ranks = worst_cases(one.truth, one.values).ranks
    without = leave_one_model_out(one.truth, ranks)
    within = _over_sub_pools(one.truth, ranks, draws, seed) if found.sub_pools else None
    found = replace(found, without_one=(float(np.nanmin(without)), float(np.nanmax(without))), over_sub_pools=within)
    if reference is None or reference.name == one.name or one.truth is not reference.truth:
        return found
    other = worst_cases(reference.truth, reference.values).ranks
    return replace(found, against_itm=paired_difference(one.truth, ranks, other, draws=draws, seed=seed))


def _sub_pools(models: int, draws: int, seed: int) -> np.ndarray:
    return sub_pools(models, SUB_POOL, limit=draws, seed=seed)


def _over_sub_pools(truth: np.ndarray, ranks: np.ndarray, draws: int, seed: int) -> OverSubPools:
    pools = _sub_pools(truth.shape[1], draws, seed)
    by_set = [over_sub_pools(truth[row, None], ranks[row, None], pools).mean for row in range(len(truth))]
    regret, top1 = (over_sub_pools(truth, ranks, pools, statistic=one).mean for one in (counted_regret, counted_hit))
    return OverSubPools(min(by_set), regret, top1)


def _random(measured: Measured, draws: int, seed: int) -> Standing:
    """Return what orders made by chance reach on average; the interval holds 95 % of them."""
    values = np.array(list(_by_chance(measured.truth, draws, seed)))  # [draws, figures, sets]
    tau, regret, top1, top3 = values.transpose(1, 0, 2)
    low, high = np.quantile(tau.mean(axis=1), [0.025, 0.975])
    return Standing(
        name=RANDOM,
        kind="control",
        sets=measured.sets,
        tau=Interval(float(tau.mean()), float(low), float(high)),
        by_set=tuple(tau.mean(axis=0).tolist()),
        regret=float(regret.mean()),
        top1=float(top1.mean()),
        top3=float(top3.mean()),
    )


def _by_chance(truth: np.ndarray, draws: int, seed: int) -> Iterator[np.ndarray]:
    generator = np.random.default_rng(seed)
    figures = (counted_weighted_tau, counted_regret, counted_hit, partial(counted_hit, k=min(3, truth.shape[1])))
    for _ in range(draws):
        ranks = worst_cases(truth, generator.random(truth.shape)).ranks
        yield np.array([per_data_set(truth, ranks, one) for one in figures])
