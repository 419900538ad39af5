"""What a validation result in the middle of fine-tuning says of the accuracy at the end.

The angle y of the result of a run with learning rate r after a share s of its steps is

    y = offset(r, s) + follows(r, s) x + shows(r, s) (z - x) + noise,

where x is the mean of the prior and z the final accuracy at the best learning rate. Early, or at a learning rate that is too
low, a run is still near its head, which the prior knows: it follows the prior and shows little of the surprise z - x. At the
end and at the best rate it shows all of it.

Noise has two parts. Sampling: the images are few, and all results of a model are on the same ones. The course of training: its
covariance over learning rates and shares is fitted, since a slow start means little at a good rate and nearly all at one that
is too high. Seeds, and models of one data set, share a part of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from itm.prediction.observations import Observation
from itm.prediction.parameters import CurveParameters
from itm.prediction.scale import sampling_variance

Array = np.ndarray

SAME_IMAGES = 0.7  # of the sampling variance; two results of one model are wrong on mostly the same images
HARD_IMAGES = 0.3  # the same of two models: some images are hard for all


@dataclass(frozen=True)
class Results:
    """Validation results, or possible ones, as arrays [o]: the number of the model, the logarithms, and the variances."""

    model: Array
    seed: Array
    log_rate: Array  # decimal
    log_share: Array  # binary
    sampling: Array

    def __add__(self, other: "Results") -> "Results":
        pairs = ((getattr(self, name), getattr(other, name)) for name in self.__dataclass_fields__)
        return Results(*(np.concatenate(pair) for pair in pairs))


def results(observed: Sequence[Observation], models: Sequence[str]) -> Results:
    """Return observations as arrays. All are of `models`."""
    number = {name: index for index, name in enumerate(models)}
    return Results(
        model=np.array([number[own.model] for own in observed], dtype=np.int64),
        seed=np.array([own.seed for own in observed], dtype=np.int64),
        log_rate=np.log10([own.learning_rate for own in observed]),
        log_share=np.log2([own.share for own in observed]),
        sampling=sampling_variance(np.array([own.images for own in observed])),
    )


class CurveModel:
    """The fitted relation of validation results to final accuracies.

    Everything is fitted at cells, pairs of a learning rate and a share. A result between them is a weighted mean of the
    cells around it, and so is its noise.
    """

    def __init__(self, parameters: CurveParameters) -> None:
        self.parameters = parameters
        self._rates = np.log10(parameters.rates)
        self._shares = np.log2(parameters.shares)
        deviations = np.ravel(parameters.noise)
        self._covariance = np.asarray(parameters.alike) * deviations[:, None] * deviations[None, :]  # of the cells

    def relation(self, of: Results, prior_mean: Array) -> tuple[Array, Array]:
        """Return the expected results [o] where final accuracies are `prior_mean` [m], and what they show [o] of surprises."""
        own, weights = self.parameters, self._weights(of)
        expected = weights @ np.ravel(own.offsets) + weights @ np.ravel(own.follows) * prior_mean[of.model]
        return expected, weights @ np.ravel(own.shows)

    def noise(self, one: Results, other: Results) -> Array:
        """Return the covariance [o, p] of the noise of two groups of results. A result has all of its variance with itself."""
        own, rows, columns = self.parameters, (slice(None), None), (None, slice(None))
        course = self._weights(one) @ self._covariance @ self._weights(other).T
        models, seeds = one.model[rows] == other.model[columns], one.seed[rows] == other.seed[columns]
        shared = np.where(seeds, 1.0, own.shared_by_seeds) * np.where(models, 1.0, own.shared_by_models)
        sampled = np.sqrt(one.sampling[rows] * other.sampling[columns])
        same = models & seeds & (one.log_rate[rows] == other.log_rate[columns])
        same &= one.log_share[rows] == other.log_share[columns]
        of_images = np.where(same, 1.0, np.where(models, SAME_IMAGES, HARD_IMAGES))
        return np.asarray(course * shared + sampled * of_images)

    def variance(self, of: Results) -> Array:
        """Return the variances [o] of the noise of results."""
        weights = self._weights(of)
        found: Array = np.sum(weights @ self._covariance * weights, axis=1) + of.sampling
        return found

    def _weights(self, at: Results) -> Array:
        """Return the weights [o, cells] of the cells around results: linear in both logarithms, and constant outside."""
        low, upper = _position(self._rates, at.log_rate)
        left, right = _position(self._shares, at.log_share)
        found, rows = np.zeros((len(at.model), len(self._rates), len(self._shares))), np.arange(len(at.model))
        for rate, of_rate in ((low, 1 - upper), (low + 1, upper)):
            for share, of_share in ((left, 1 - right), (left + 1, right)):
                found[rows, rate, share] += of_rate * of_share
        return found.reshape(len(at.model), len(self._rates) * len(self._shares))


def _position(grid: Array, at: Array) -> tuple[Array, Array]:
    """Return the number of the cell of an ascending grid, and the share of the way through it."""
    cell = np.clip(np.searchsorted(grid, at, side="right") - 1, 0, len(grid) - 2)
    return cell, np.clip((at - grid[cell]) / (grid[cell + 1] - grid[cell]), 0.0, 1.0)
