"""Final accuracies given validation results, and what one more result would be worth."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from scipy import linalg, stats

from itm.prediction.curve_model import CurveModel, Results, results
from itm.prediction.observations import Observation, last_of_each_run
from itm.prediction.prior import Belief
from itm.prediction.scale import accuracy_interval, from_angle, to_angle

Array = np.ndarray

LEAST_VARIANCE = 1e-9  # added to results, so that two equal ones can be inverted
FURTHEST = 2.0  # standard deviations that a result may be lower than expected
NODES = np.linspace(-6.0, 6.0, 65)  # values of a standard normal variable: small hopes count if there are no larger ones
WEIGHTS = stats.norm.pdf(NODES) / stats.norm.pdf(NODES).sum()


def _widening(surprise: Array, variance: Array) -> Array:
    """Return the variance [o] to add to results that are lower than a Gaussian explains.

    A run that collapses says that its learning rate is too high for it, and hardly anything of the model at another rate.
    """
    return np.asarray(np.where(surprise < 0, np.maximum((surprise / FURTHEST) ** 2 - variance, 0.0), 0.0))


class Posterior:
    """Angles of the final accuracies of the models of a belief, given validation results.

    With z = x + e, e ~ N(0, S), and results y = f + G e + noise of covariance N, all is Gaussian, with K = G S G' + N:
    the mean of z is x + S G' K^-1 (y - f), and its covariance S - S G' K^-1 G S. The end of a run at a learning rate is a
    result without the noise of sampling; `ends` are those of every model at every rate, which fine-tuning can deliver.

    Only the last result of a run counts: those before say little more, and nearly the same errors would be weighed against
    each other.
    """

    def __init__(self, belief: Belief, curves: CurveModel, rates: Sequence[float], observed: Sequence[Observation]) -> None:
        self.belief, self.curves, self.rates = belief, curves, tuple(rates)
        observed = last_of_each_run(observed)
        self._observed = results(observed, belief.models)
        total = self._covariance(self._observed, self._observed)
        seen = np.array([float(to_angle((own.accuracy * own.images + 0.5) / (own.images + 1))) for own in observed])
        surprise = seen - self._relation(self._observed)[0]
        total = total + np.diag(_widening(surprise, np.diag(total)) + LEAST_VARIANCE)
        self._factor = linalg.cho_factor(total, lower=True) if len(observed) else None
        self._surprise = self._solved(surprise[:, None])[:, 0]
        of_models = self._with_models(self._observed)
        self.mean: Array = belief.mean + of_models @ self._surprise
        self.covariance: Array = belief.covariance - of_models @ self._solved(of_models.T)

    @cached_property
    def ends(self) -> Results:
        """Return the ends of the first seed's runs, [models x rates], the rates of a model next to each other."""
        models, rates = len(self.belief.models), len(self.rates)
        return Results(
            model=np.repeat(np.arange(models), rates),
            seed=np.zeros(models * rates, dtype=np.int64),
            log_rate=np.tile(np.log10(self.rates), models),
            log_share=np.zeros(models * rates),
            sampling=np.zeros(models * rates),
        )

    @cached_property
    def end_means(self) -> Array:
        """Return the expected angles [models, rates] at the end of each run."""
        found = self._relation(self.ends)[0] + self._covariance(self.ends, self._observed) @ self._surprise
        return np.asarray(found.reshape(-1, len(self.rates)))

    @cached_property
    def outcome(self) -> tuple[Array, Array]:
        """Return the mean [m] and the covariance [m, m] of the angles of what fine-tuning reaches.

        That is z, or the end of a run that has begun and is above. A learning rate that is usually too high shows little of z,
        but for some models it is the best.
        """
        begun = np.zeros(self.end_means.shape, dtype=bool)
        begun[self._observed.model, np.searchsorted(np.log10(self.rates), self._observed.log_rate)] = True
        ends = np.where(begun, self.end_means, -np.inf)
        best, highest = ends.argmax(axis=1), ends.max(axis=1)
        models, is_run = np.arange(len(best)), highest > self.mean
        runs = Results(models, np.zeros_like(best), np.log10(self.rates)[best], np.zeros(len(best)), np.zeros(len(best)))
        shows = np.where(is_run, self._relation(runs)[1], 1.0)[:, None]
        noise = np.where(is_run[:, None] & is_run[None, :], self.curves.noise(runs, runs), 0.0)
        of_observed = np.where(is_run[:, None], self.curves.noise(runs, self._observed), 0.0)
        with_observed = shows * self._with_models(self._observed) + of_observed
        prior = shows * self.belief.covariance * shows.T + noise
        return np.where(is_run, highest, self.mean), prior - with_observed @ self._solved(with_observed.T)

    def interval(self, level: float) -> tuple[Array, Array]:
        """Return the lower and the upper ends [m] of the intervals of what is reached, as shares of 1."""
        mean, covariance = self.outcome
        return accuracy_interval(mean, np.sqrt(np.maximum(np.diag(covariance), LEAST_VARIANCE)), level)

    def drawn(self, draws: int, seed: int) -> Array:
        """Return random accuracies [draws, m] of what is reached, as shares of 1."""
        generator, (mean, covariance) = np.random.default_rng(seed), self.outcome
        values, vectors = np.linalg.eigh(covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        return from_angle(mean + generator.standard_normal((draws, len(mean))) @ root.T)

    def gains(self, possible: Results) -> Array:
        """Return the knowledge gradient [p]: the expected rise of the angle of the highest expected end by each result.

        Expected ends after a result are Gaussian around the present ones, with deviation Cov(end, y) / sd(y) given the results
        so far. None is expected above z, unless it is already there: the noise of a rate that is usually too high is large, but
        downwards.

        Source: Frazier, Powell and Dayanik, The knowledge-gradient policy for correlated normal beliefs, INFORMS Journal on
        Computing 2009, equation 8, here by the values of a grid.
        """
        with_observed = self._covariance(possible, self._observed)
        solved = self._solved(with_observed.T)
        left = self._covariance(self.ends, possible) - self._covariance(self.ends, self._observed) @ solved
        of_models = (self._with_models(possible) - self._with_models(self._observed) @ solved)[self.ends.model]
        shows = self._relation(possible)[1]
        prior = shows**2 * np.diag(self.belief.covariance)[possible.model] + self.curves.variance(possible)
        variance = np.maximum(prior - np.sum(with_observed.T * solved, axis=0), LEAST_VARIANCE)
        changes, means = (left / np.sqrt(variance)).T, self.end_means.ravel()
        near = means >= means.max() + 2 * NODES[0] * np.abs(changes).max()  # no other end can become the highest
        ends = means[near] + changes[:, None, near] * NODES[None, :, None]
        of_models = (of_models / np.sqrt(variance)).T[:, None, near] * NODES[None, :, None]
        most = np.maximum(self.mean[self.ends.model][near] + of_models, means[near])
        highest = np.minimum(ends, most).max(axis=2)
        return np.asarray(np.maximum((highest - means.max()) @ WEIGHTS, 0.0))

    def _solved(self, right: Array) -> Array:
        """Return K^-1 `right` [o, k]."""
        if self._factor is None:
            return np.zeros_like(right)
        found: Array = linalg.cho_solve(self._factor, right)
        return found

    def _relation(self, of: Results) -> tuple[Array, Array]:
        return self.curves.relation(of, self.belief.mean)

    def _with_models(self, of: Results) -> Array:
        """Return the prior covariance [m, o] of final angles and those of results."""
        found: Array = self.belief.covariance[:, of.model] * self._relation(of)[1]
        return found

    def _covariance(self, one: Results, other: Results) -> Array:
        """Return the prior covariance [o, p] of two groups of results."""
        found: Array = self._relation(one)[1][:, None] * self._with_models(other)[one.model]
        return np.asarray(found + self.curves.noise(one, other))
