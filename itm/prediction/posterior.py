"""Final accuracies given validation results, and what one more result would be worth."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from scipy import linalg, stats

from itm.prediction.curve_model import CurveModel, Results, results
from itm.prediction.observations import Observation, last_of_each_run
from itm.prediction.prior import Belief
from itm.prediction.scale import accuracy_interval, from_log_odds, log_odds

Array = np.ndarray

LEAST_VARIANCE = 1e-9  # added to results, so that two equal ones can be inverted
FURTHEST = 2.0  # standard deviations that a result may be lower than expected
NODES = stats.norm.ppf((np.arange(64) + 0.5) / 64)  # equally likely values of a standard normal variable


def _widening(surprise: Array, variance: Array) -> Array:
    """Return the variance [o] to add to results that are lower than a Gaussian explains.

    A run that collapses says that its learning rate is too high for it, and hardly anything of the model at another rate.
    """
    return np.asarray(np.where(surprise < 0, np.maximum((surprise / FURTHEST) ** 2 - variance, 0.0), 0.0))


class Posterior:
    """Final accuracies of the models of a belief, in log-odds, given validation results.

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
        seen = np.array([float(log_odds((own.accuracy * own.images + 0.5) / (own.images + 1))) for own in observed])
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
        """Return the expected log-odds [models, rates] at the end of each run."""
        found = self._relation(self.ends)[0] + self._covariance(self.ends, self._observed) @ self._surprise
        return np.asarray(found.reshape(-1, len(self.rates)))

    @cached_property
    def deviation(self) -> Array:
        """Return the standard deviations [m] of final log-odds."""
        return np.asarray(np.sqrt(np.maximum(np.diag(self.covariance), LEAST_VARIANCE)))

    def interval(self, level: float) -> tuple[Array, Array]:
        """Return the lower and the upper ends [m] of the intervals of final accuracies, as shares of 1."""
        return accuracy_interval(self.mean, self.deviation, level)

    def drawn(self, draws: int, seed: int) -> Array:
        """Return random final accuracies [draws, m], as shares of 1."""
        generator = np.random.default_rng(seed)
        values, vectors = np.linalg.eigh(self.covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        return from_log_odds(self.mean + generator.standard_normal((draws, len(self.mean))) @ root.T)

    def gains(self, possible: Results) -> Array:
        """Return the knowledge gradient [p]: the expected rise of the highest expected end, in log-odds, by each result.

        Expected ends after a result are Gaussian around the present ones, with deviation Cov(end, y) / sd(y) given the results
        so far.

        Source: Frazier, Powell and Dayanik, The knowledge-gradient policy for correlated normal beliefs, INFORMS Journal on
        Computing 2009, equation 8, here by 64 equally likely values.
        """
        with_observed = self._covariance(possible, self._observed)
        solved = self._solved(with_observed.T)
        left = self._covariance(self.ends, possible) - self._covariance(self.ends, self._observed) @ solved
        shows = self._relation(possible)[1]
        prior = shows**2 * np.diag(self.belief.covariance)[possible.model] + self.curves.variance(possible)
        variance = np.maximum(prior - np.sum(with_observed.T * solved, axis=0), LEAST_VARIANCE)
        changes, means = (left / np.sqrt(variance)).T, self.end_means.ravel()
        near = means >= means.max() - 4 * np.abs(changes).max()  # no other end can become the highest
        highest = (means[near] + changes[:, None, near] * NODES[None, :, None]).max(axis=2)
        return np.asarray(np.maximum(highest.mean(axis=1) - means.max(), 0.0))

    def _solved(self, right: Array) -> Array:
        """Return K^-1 `right` [o, k]."""
        if self._factor is None:
            return np.zeros_like(right)
        found: Array = linalg.cho_solve(self._factor, right)
        return found

    def _relation(self, of: Results) -> tuple[Array, Array]:
        return self.curves.relation(of, self.belief.mean)

    def _with_models(self, of: Results) -> Array:
        """Return the prior covariance [m, o] of final log-odds and results."""
        found: Array = self.belief.covariance[:, of.model] * self._relation(of)[1]
        return found

    def _covariance(self, one: Results, other: Results) -> Array:
        """Return the prior covariance [o, p] of two groups of results."""
        found: Array = self._relation(one)[1][:, None] * self._with_models(other)[one.model]
        return np.asarray(found + self.curves.noise(one, other))
