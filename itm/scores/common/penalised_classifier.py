"""The linear classifier with the least penalised cross-entropy, by Newton's method, for PACTran's bound."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from itm.core.errors import ScoreError
from itm.scores.common.statistics import BLOCK, Statistics

TOLERANCE = 1e-7  # of the bound
STEPS = 100  # of Newton's method; ten are usual
INNER_STEPS = 300  # of conjugate gradients per Newton step; fifty are usual in all
KEPT = 2**24  # numbers kept in float32 from step to step: 64 MiB
ENOUGH = 1e-4  # share of the decrease predicted by the slope that a step must reach
ROUNDING = 1e-12  # of a loss, in nats
TINY = 1e-12


@dataclass(frozen=True)
class Bound:
    """The bound: mean cross-entropy + `penalty` |w|^2 / 2 + `factor` log(1 + `gain` trace).

    Weights w belong to features f of unit mean variance. The trace is the mean over rows of sum_k p_k (1 - p_k) times
    `variance` |f|^2.
    """

    penalty: float
    factor: float
    gain: float
    variance: float


@dataclass(frozen=True)
class Point:
    """The classifier with weights and, in the last row, biases `values` [r + 1, C].

    `loss` is the penalised loss and `slope` its gradient.
    """

    values: np.ndarray
    loss: float
    sharpness: float  # the last term of the bound
    slope: np.ndarray
    inverse: np.ndarray  # the inverse second derivative [r + 1, C] if every row had the covariance of all rows
    size: float  # the length of the slope in the metric of `inverse`: the loss can fall by about half its square
    doubt: float  # how far the bound may be from its value at the minimum
    probabilities: np.ndarray | None  # [n, C], if there is room for them


class PenalisedClassifier:
    """The penalised linear classifier of all rows, with weights in principal coordinates of unit mean variance."""

    def __init__(self, statistics: Statistics, bound: Bound) -> None:
        self.statistics, self.bound = statistics, bound
        self.scale = float(np.sqrt(statistics.total_variance / statistics.rank)) if statistics.rank else 1.0
        self.variances = statistics.values[:, None] / self.scale**2
        self.axes = None if statistics.n < statistics.d else statistics.compact(np.eye(statistics.rank))
        self.narrow_axes = None if self.axes is None else self.axes.astype(np.float32)
        width = statistics.rank if self.axes is None else statistics.d
        room = statistics.n * width <= KEPT
        self.kept = [(where, block.astype(np.float32)) for where, block in self._read()] if room else None

    def at(self, values: np.ndarray) -> Point:
        statistics, bound, n, classes = self.statistics, self.bound, self.statistics.n, self.statistics.classes
        across = values[:-1] if self.axes is None else self.axes.T @ values[:-1]
        kept = np.empty((n, classes), dtype=np.float32) if n * classes <= KEPT else None
        loss = trace = 0.0
        spread, weighted = np.zeros((2, classes))
        sums, biases = np.zeros((len(across), 2 * classes)), np.zeros(2 * classes)
        for where, block in self._read():
            actual = np.arange(len(block)), statistics.labels[where]
            probabilities = block @ across + values[-1]
            loss -= float(probabilities[actual].sum())
            loss += float(_softmax(probabilities).sum())
            if kept is not None:
                kept[where] = probabilities
            squares = np.einsum("ij,ij->i", block, block)
            weights = bound.variance * squares
            curved = probabilities * (1 - probabilities)
            trace += float(weights @ curved.sum(axis=1))
            spread += curved.sum(axis=0)
            weighted += squares @ curved
            tilts = curved - probabilities**2
            tilts = (tilts - probabilities * tilts.sum(axis=1, keepdims=True)) * weights[:, None]
            probabilities[actual] -= 1.0
            pulls = np.concatenate([probabilities, tilts], axis=1)
            sums += block.T @ pulls
            biases += pulls.sum(axis=0)
        slopes = np.concatenate([sums if self.axes is None else self.axes @ sums, biases[None]]) / n
        slope, tilt = slopes[:, :classes], slopes[:, classes:]
        slope[:-1] += bound.penalty * values[:-1]
        loss = loss / n + bound.penalty / 2 * float((values[:-1] ** 2).sum())
        gain = bound.gain * trace / n
        tilt *= bound.factor * bound.gain / (1 + gain)  # the gradient of the logarithm
        curvature = self.variances * weighted / (n * max(statistics.rank, 1)) + bound.penalty
        inverse = 1 / (np.concatenate([curvature, spread[None] / n]) + TINY)
        size, tilted = (float(np.sqrt(np.vdot(one**2, inverse))) for one in (slope, tilt))
        sharpness = bound.factor * float(np.log1p(gain))
        return Point(values, loss, sharpness, slope, inverse, size, size**2 / 2 + size * tilted, kept)

    def curved(self, point: Point, direction: np.ndarray) -> np.ndarray:
        """Return the second derivative of the loss at `point` times a direction [r + 1, C].

        Products are in float32: they only choose the next point, which is evaluated in float64.
        """
        across, shift = self._across(direction)
        sums, biases = np.zeros(across.shape, dtype=np.float32), np.zeros(len(shift), dtype=np.float32)
        for where, wide in self.kept or self._read():
            block = wide.astype(np.float32, copy=False)
            if point.probabilities is not None:
                probabilities = point.probabilities[where]
            else:
                weights, bias = self._across(point.values)
                _softmax(probabilities := block @ weights + bias)
            turns = probabilities * (block @ across + shift)
            turns -= probabilities * turns.sum(axis=1, keepdims=True)
            sums += block.T @ turns
            biases += turns.sum(axis=0)
        sums = sums if self.narrow_axes is None else self.narrow_axes @ sums
        product = np.concatenate([sums, biases[None]]).astype(np.float64) / self.statistics.n
        product[:-1] += self.bound.penalty * direction[:-1]
        return product

    def _across(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return weights in the coordinates of the rows, and biases, in float32."""
        narrow = values.astype(np.float32)
        return narrow[:-1] if self.narrow_axes is None else self.narrow_axes.T @ narrow[:-1], narrow[-1]

    def _read(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield the positions and values of centred rows at unit mean variance, in blocks that leave room for their logits."""
        size = max(1, BLOCK // self.statistics.classes)
        for where, block in self.statistics.blocks():
            for start in range(0, len(block), size):
                part = block[start : start + size] / self.scale
                yield slice(where.start + start, where.start + start + len(part)), part


def minimise(classifier: PenalisedClassifier) -> float:
    """Return the bound at the minimum of the penalised loss, by Newton's method; a ScoreError says that it is not found."""
    statistics = classifier.statistics
    values = np.zeros((statistics.rank + 1, statistics.classes))
    values[-1] = np.log(statistics.shares)
    point = classifier.at(values)
    for _ in range(STEPS):
        if point.doubt < TOLERANCE:
            return point.loss + point.sharpness
        step = _step(classifier, point)
        fall = ENOUGH * float(np.vdot(point.slope, step))
        for _ in range(STEPS):
            found = classifier.at(point.values + step)
            if found.loss <= point.loss + fall + ROUNDING:
                break
            step, fall = step / 2, fall / 2
        point = found
    raise ScoreError(
        f"pactran: the classifier has not converged in {STEPS} steps, and its bound may be off by {point.doubt:.1g}; take a "
        "smaller beta or prior_variance."
    )


def _step(classifier: PenalisedClassifier, point: Point) -> np.ndarray:
    """Return the Newton step [r + 1, C] by conjugate gradients.

    The nearer the minimum, the more exactly the step is solved for: convergence is then faster than linear.
    """
    step, rest = np.zeros_like(point.slope), -point.slope
    ahead = along = point.inverse * rest
    size = first = float(np.vdot(rest, along))
    for _ in range(INNER_STEPS):
        if size < min(0.25, point.size) * first:
            break
        curved = classifier.curved(point, ahead)
        length = size / float(np.vdot(ahead, curved))
        step += length * ahead
        rest -= length * curved
        along = point.inverse * rest
        before, size = size, float(np.vdot(rest, along))
        ahead = along + size / before * ahead
    return step


def _softmax(logits: np.ndarray) -> np.ndarray:
    """Turn logits [n, C] into probabilities in place; return the logarithms [n] of the sums of their exponentials."""
    largest = logits.max(axis=1, keepdims=True)
    np.exp(np.subtract(logits, largest, out=logits), out=logits)
    sums = logits.sum(axis=1, keepdims=True)
    logits /= sums
    return np.asarray((largest + np.log(sums))[:, 0])
