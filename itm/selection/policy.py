"""Which run to train next, and what the results so far say. Pure functions of the results, so that a search can be replayed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from itm.prediction.curve_model import CurveModel, Results
from itm.prediction.expected import LEVEL
from itm.prediction.observations import Observation
from itm.prediction.posterior import Posterior
from itm.prediction.prior import Belief
from itm.prediction.scale import from_angle, sampling_variance, slope

SHARES = (1 / 8, 1 / 4, 1 / 2, 3 / 4, 1.0)  # of the steps, after which a run is evaluated and reconsidered
DRAWS = 4000
SEED = 0


Run = tuple[str, int, int]  # model, number of the learning rate, seed


@dataclass(frozen=True)
class Experiment:
    """Train the run of a model with a learning rate, by its number in the grid, and a seed until a share of the steps."""

    model: str
    rate: int
    seed: int
    share: float


@dataclass(frozen=True)
class Cost:
    """Seconds to begin with a model, and of one whole run at one learning rate."""

    start: float
    run: float


@dataclass(frozen=True)
class Prediction:
    """The expected final accuracy of a model with its 95 % interval, and the probability that it is the best."""

    model: str
    accuracy: float
    low: float
    high: float
    chance_best: float


@dataclass(frozen=True)
class Standing:
    """What the results so far say.

    `regret` is the expected accuracy lost by the pick, `gain` what the best next experiment is expected to gain per second.
    `regrets` are equally likely values of the first.
    """

    pick: str
    predictions: tuple[Prediction, ...]
    regret: float
    gain: float
    regrets: tuple[float, ...]

    def chance_within(self, regret: float) -> float:
        """Return the probability that the pick loses at most this much accuracy against the best model."""
        return float(np.mean(np.array(self.regrets) <= regret))


@dataclass(frozen=True)
class Setting:
    """What does not change during a search: the learning rates, ascending, and the number of validation images.

    So many times the estimated seconds of the final run are kept in `reserve`.
    """

    rates: tuple[float, ...]
    images: int
    seeds: int = 2
    reserve: float = 1.0


class Policy:
    """Chooses the experiment with the highest expected gain per second of cost."""

    def __init__(self, belief: Belief, curves: CurveModel, costs: Mapping[str, Cost], setting: Setting) -> None:
        self.belief, self.curves, self.costs, self.setting = belief, curves, costs, setting

    def posterior(self, observed: Sequence[Observation]) -> Posterior:
        """Return what to expect given results."""
        return Posterior(self.belief, self.curves, self.setting.rates, observed)

    def next(
        self,
        observed: Sequence[Observation],
        running: Sequence[Experiment] = (),
        seconds_left: float | None = None,
        ended: Collection[Run] = (),
        failed: Collection[str] = (),
    ) -> tuple[Experiment, float] | None:
        """Return the next experiment and its expected gain of accuracy per second; None if none fits into the time left.

        `ended` are runs (model, rate, seed) that stopped early, `failed` are models. A model has one running experiment only.
        The value of training on to any later share counts, but only the first one is trained, and then it is decided again.
        """
        busy, reached = {own.model for own in running} | set(failed), self._reached(observed)
        options = [own for own in self._options(reached, ended) if own[0].model not in busy]
        if not options:
            return None
        posterior = self.posterior(observed)
        gains = posterior.gains(self._possible([goal for goal, _ in options])) * slope(posterior.end_means.max())
        values = gains / np.array([self._seconds(goal, reached) for goal, _ in options])
        reserve = self.setting.reserve * self._seconds(self._best_run(posterior, failed), reached)
        for row in np.argsort(-values):
            first = options[row][1]
            if seconds_left is None or self._seconds(first, reached) + reserve <= seconds_left:
                return first, float(values[row])
        return None

    def final(
        self, observed: Sequence[Observation], failed: Collection[str] = (), among: Collection[Run] | None = None
    ) -> Experiment:
        """Return the run whose end is the trained checkpoint of the pick: the one, `among` some or all, that ends highest."""
        return self._best_run(self.posterior(observed), failed, among)

    def standing(self, observed: Sequence[Observation], gain: float = 0.0, failed: Collection[str] = ()) -> Standing:
        """Return the pick, and what to expect of all models."""
        posterior = self.posterior(observed)
        able = np.array([name not in failed for name in self.belief.models])
        drawn = np.where(able, posterior.drawn(DRAWS, SEED), 0.0)
        pick = self._best_run(posterior, failed).model
        regrets = drawn.max(axis=1) - drawn[:, self.belief.models.index(pick)]
        chances = np.bincount(drawn.argmax(axis=1), minlength=len(able)) / DRAWS
        low, high = posterior.interval(LEVEL)
        expected = from_angle(posterior.outcome[0])
        rows = zip(self.belief.models, expected, low, high, chances, able, strict=True)
        predictions = [Prediction(name, float(a), float(b), float(c), float(d)) for name, a, b, c, d, known in rows if known]
        order = sorted(predictions, key=lambda own: -own.accuracy)
        return Standing(pick, tuple(order), float(regrets.mean()), gain, tuple(float(value) for value in regrets))

    def _best_run(self, posterior: Posterior, failed: Collection[str], among: Collection[Run] | None = None) -> Experiment:
        able = np.array([name not in failed for name in self.belief.models])
        means = np.where(able[:, None], posterior.end_means, -np.inf)
        if among is not None:
            known = {(model, rate) for model, rate, _ in among}
            rates = range(len(self.setting.rates))
            means = np.where([[(name, rate) in known for rate in rates] for name in self.belief.models], means, -np.inf)
        model, rate = np.unravel_index(int(np.argmax(means)), means.shape)
        return Experiment(self.belief.models[int(model)], int(rate), 0, 1.0)

    def _options(self, reached: Mapping[Run, float], ended: Collection[Run]) -> list[tuple[Experiment, Experiment]]:
        """Return every later share of every run that may go on or begin, with the first share on the way."""
        every = product(self.belief.models, range(len(self.setting.rates)), range(self.setting.seeds))
        found = []
        for run in every:
            if run not in ended and self._may_begin(run, reached):
                later = [Experiment(*run, share) for share in SHARES if share > reached.get(run, 0.0)]
                found += [(goal, later[0]) for goal in later]
        return found

    def _may_begin(self, run: Run, reached: Mapping[Run, float]) -> bool:
        """Return whether a run may begin: a further seed needs a finished run of the seed before."""
        model, rate, seed = run
        return seed == 0 or reached.get((model, rate, seed - 1), 0.0) >= 1.0

    def _reached(self, observed: Sequence[Observation]) -> dict[Run, float]:
        numbers = {rate: number for number, rate in enumerate(self.setting.rates)}
        found: dict[Run, float] = {}
        for own in observed:
            run = own.model, numbers[own.learning_rate], own.seed
            found[run] = max(found.get(run, 0.0), own.share)
        return found

    def _seconds(self, wanted: Experiment, reached: Mapping[Run, float]) -> float:
        cost, started = self.costs[wanted.model], any(model == wanted.model for model, _, _ in reached)
        done = reached.get((wanted.model, wanted.rate, wanted.seed), 0.0)
        return (0.0 if started else cost.start) + max(0.0, wanted.share - done) * cost.run

    def _possible(self, wanted: Sequence[Experiment]) -> Results:
        models = np.array([self.belief.models.index(own.model) for own in wanted])
        return Results(
            model=models,
            seed=np.array([own.seed for own in wanted]),
            log_rate=np.log10([self.setting.rates[own.rate] for own in wanted]),
            log_share=np.log2([own.share for own in wanted]),
            sampling=np.full(len(models), sampling_variance(self.setting.images)),
        )
