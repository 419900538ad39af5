"""Replay searches on recorded learning curves: no training, and the costs that were measured when they were recorded."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.select_desk import RATES, Pair
from itm.prediction.curve_model import CurveModel
from itm.prediction.observations import Observation
from itm.prediction.prior import Belief
from itm.selection.policy import Cost, Experiment, Policy, Setting, Standing


@dataclass(frozen=True)
class Delivered:
    """What a search delivers: the accuracy on the test images of the model and learning rate that it picks, and its cost."""

    model: str
    accuracy: float
    seconds: float
    standing: Standing | None = None


@dataclass
class Bill:
    """The seconds spent, and how far runs were trained. Going on with a run costs only what is new."""

    pairs: dict[str, Pair]
    reached: dict[tuple[str, int, int], float] = field(default_factory=dict)
    seconds: float = 0.0

    def train(self, own: Experiment) -> None:
        """Pay for an experiment."""
        run = own.model, own.rate, own.seed
        self.seconds += max(0.0, own.share - self.reached.get(run, 0.0)) * self.pairs[own.model].run_seconds
        self.reached[run] = max(own.share, self.reached.get(run, 0.0))


def grid_seconds(pairs: Sequence[Pair]) -> float:
    """Return the cost of the full grid: every model at every learning rate."""
    return sum(pair.run_seconds for pair in pairs) * RATES


def delivered(pairs: dict[str, Pair], model: str, rate: int, seconds: float, standing: Standing | None = None) -> Delivered:
    """Return the test accuracy of a run, the mean over the seeds that were recorded at its rate."""
    own = pairs[model]
    seeds = [value for (at, _), value in own.tests.items() if at == rate]
    return Delivered(model, float(np.mean(seeds)) if seeds else own.baseline, seconds, standing)


def search(pairs: Sequence[Pair], belief: Belief, curves: CurveModel, rates: tuple[float, ...], budget: float) -> Delivered:
    """Replay `itm select` with a budget in seconds."""
    by_name = {pair.model: pair for pair in pairs}
    costs = {pair.model: Cost(0.0, pair.run_seconds) for pair in pairs}
    policy = Policy(belief, curves, costs, Setting(rates, pairs[0].images))
    bill, observed = Bill(by_name), list[Observation]()
    ended: set[tuple[str, int, int]] = {
        (pair.model, rate, 1) for pair in pairs for rate in range(RATES) if (rate, 1) not in pair.marks
    }
    while True:
        found = policy.next(observed, seconds_left=budget - bill.seconds, ended=ended)
        if found is None:
            break
        bill.train(found[0])
        observed.append(by_name[found[0].model].observation(found[0].rate, found[0].seed, found[0].share, rates))
    final = policy.final(observed)
    bill.train(final)
    observed.append(by_name[final.model].observation(final.rate, final.seed, 1.0, rates))
    numbers = {rate: number for number, rate in enumerate(rates)}
    trained = [(own.model, numbers[own.learning_rate], own.seed) for own in observed if own.share == 1]
    best = policy.final(observed, among=trained)
    return delivered(by_name, best.model, best.rate, bill.seconds, policy.standing(observed))


def best_of_grid(pairs: dict[str, Pair], models: Sequence[str], bill: Bill) -> tuple[str, int]:
    """Fine-tune models at every rate, and return the run that is best on validation."""
    runs = [(model, rate) for model in models for rate in range(RATES)]
    for model, rate in runs:
        bill.train(Experiment(model, rate, 0, 1.0))
    return max(runs, key=lambda run: pairs[run[0]].accuracy(run[1], 0, 1.0))


def in_order(pairs: Sequence[Pair], order: Sequence[str], budget: float) -> Delivered:
    """Fine-tune models in an order through the whole grid until the budget is used up; the best on validation is the pick.

    The first model is fine-tuned whatever it costs, at the middle rate alone if more does not fit.
    """
    by_name = {pair.model: pair for pair in pairs}
    bill, chosen = Bill(by_name), list[str]()
    for model in order:
        if chosen and bill.seconds + RATES * sum(by_name[name].run_seconds for name in [*chosen, model]) > budget:
            break
        chosen.append(model)
    fits = RATES * by_name[chosen[0]].run_seconds <= budget
    if not fits:
        bill.train(Experiment(chosen[0], 1, 0, 1.0))
        return delivered(by_name, chosen[0], 1, bill.seconds)
    model, rate = best_of_grid(by_name, chosen, bill)
    return delivered(by_name, model, rate, bill.seconds)


def confirm(pairs: Sequence[Pair], scores: dict[str, float], first: int, budget: float) -> Delivered:
    """Fine-tune the first models of a score, as many as fit, but `first` at most."""
    order = sorted(scores, key=lambda model: -scores[model])[:first]
    return in_order(pairs, order, budget)


def halving(pairs: Sequence[Pair], budget: float) -> Delivered:
    """Successive halving at the middle rate: models to a share, the better half to twice of it, and so on; then the grid.

    Of all schedules that fit into the budget, the one that begins with most models counts, and of those the one with the
    largest first share. Fewer than all models are a random choice.
    """
    by_name = {pair.model: pair for pair in pairs}
    order = next(orders(pairs, seed=1, count=1))
    for count in (len(order), *(len(order) // part for part in (2, 4, 8))):
        for start in (1 / 2, 1 / 4, 1 / 8):
            if found := _halved(by_name, order[: max(1, count)], start, budget):
                return found
    return in_order(pairs, order, budget)


def _halved(pairs: dict[str, Pair], alive: Sequence[str], share: float, budget: float) -> Delivered | None:
    """Return what one schedule delivers, or None if it does not fit. As many finalists as fit get the whole grid."""
    bill = Bill(pairs)
    while True:
        for model in alive:
            bill.train(Experiment(model, 1, 0, share))
        alive = sorted(alive, key=lambda model: -pairs[model].accuracy(1, 0, share))
        if len(alive) == 1 or share >= 1.0:
            break
        alive, share = alive[: max(1, len(alive) // 2)], min(1.0, share * 2)
    for finalists in (3, 2, 1):
        own = Bill(pairs, dict(bill.reached), bill.seconds)
        model, rate = best_of_grid(pairs, alive[:finalists], own)
        if own.seconds <= budget:
            return delivered(pairs, model, rate, own.seconds)
    return None


def orders(pairs: Sequence[Pair], seed: int, count: int) -> Iterator[list[str]]:
    """Yield random orders of the models."""
    generator = np.random.default_rng(seed)
    names = [pair.model for pair in pairs]
    for _ in range(count):
        yield [names[number] for number in generator.permutation(len(names))]
