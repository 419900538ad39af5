"""PACTran: a bound on the error of a linear classifier, from its penalised loss and how sharply that is curved.

Source: Ding, Chen, Levinboim, Changpinyo, Soricut, "PACTran: PAC-Bayesian Metrics for Estimating the Transferability of
Pretrained Models to Classification Tasks", ECCV 2022, PACTran-Gaussian.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from itm.core.errors import ParamsError, ScoreError
from itm.scores.common.statistics import BLOCK, Statistics
from itm.scores.evaluate import Definition, Sample, register

TYPICAL_VARIANCE = 0.3  # of a feature: the median of 26 tables of embeddings by 13 public checkpoints, between 0.05 and 2.2
TOLERANCE = 1e-7  # of the score
STEPS = 100  # of Newton's method; ten are usual
INNER_STEPS = 300  # of conjugate gradients for one of them; fifty are usual for all
KEPT = 2**24  # numbers kept in float32 from step to step: 64 MiB
ENOUGH = 1e-4  # of the fall that the slope promises
ROUNDING = 1e-12  # of a loss, in nats
TINY = 1e-12


@dataclass(frozen=True)
class PactranOptions:
    """The bound's `beta` as a multiple of N r, and the `prior_variance` of a weight as a multiple of 1 / r, r being the rank.

    The defaults are those that the public code's own comparison reports, with r for D. `reference` follows that code, which
    takes features as large as they come, and adds curvatures up where the definition takes their mean.
    """

    beta: float = 0.1
    prior_variance: float = 1.0
    reference: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.beta < np.inf or not 0 < self.prior_variance < np.inf:
            raise ParamsError(f"pactran needs beta > 0 and prior_variance > 0, not {self.beta} and {self.prior_variance}.")


@dataclass(frozen=True)
class _Bound:
    """The bound: mean cross-entropy + `penalty` |w|^2 / 2 + `factor` log(1 + `gain` `trace`).

    Weights w are those of features f of unit mean variance. The trace is the mean over rows of sum_k p_k (1 - p_k) times
    `variance` |f|^2 + `bias`.
    """

    penalty: float
    factor: float
    gain: float
    variance: float = TYPICAL_VARIANCE
    bias: float = 0.0


def pactran(sample: Sample, options: PactranOptions) -> float:
    """Return minus the bound on the error of classifiers drawn from around the best linear one.

    With p = softmax(f w + b), N rows, K classes, and weights that are drawn from N(0, s I) a priori,

        bound = L + |w|^2 / (2 beta s) + K r / (2 beta) log(1 + beta s / (K r) trace H),

    L being the mean cross-entropy, w and b what makes the first two terms least, and H the second derivative of L by w, so that
    trace H = mean_i sum_k p_ik (1 - p_ik) |f_i|^2. By default beta = 0.1 N r and s = 1 / r: the last factor is 5 K / N.

    The published bound takes features as they come, so that the same features twice as large fit better. Here they are centred
    and scaled so that the r directions they reach have a mean variance of 0.3, which is typical of embeddings. r stands for D,
    since a wider space without information must not change a score; where N < D, it is N - 1 at most.

    The problem is convex: its solution does not depend on the start. The public code starts at random and stops early, by which
    its value moves by up to 5e-5 on embeddings; it adds up the curvature of rows while it takes the mean of their loss (N times
    the trace), and counts that by the biases, which have no prior, too. `reference` is its formula at the exact minimum.
    """
    statistics = sample.statistics
    n, classes, rank = statistics.n, statistics.classes, max(statistics.rank, 1)
    strength = n * options.beta * options.prior_variance  # beta s
    factor = classes / (2 * options.beta * n)
    bound = _Bound(1 / (strength * TYPICAL_VARIANCE), factor, strength / (classes * rank))
    if options.reference:
        variance = statistics.total_variance / rank
        bound = _Bound(1 / max(strength * variance, TINY), factor, n * strength / (classes * statistics.d), variance, 1.0)
    return -_least(_Classifier(statistics, bound))


@dataclass(frozen=True)
class _Point:
    """What the classifier is at weights and biases `values` [r + 1, C].

    The `slope` is that of the penalised loss, and `inverse` what the inverse of its second derivative would be if all rows had
    the shape of the whole. Measured by that, the loss can fall by half the square of `size`, and the bound be off by `doubt`.
    `probabilities` [n, C] are kept where there is room.
    """

    values: np.ndarray
    loss: float
    sharpness: float
    slope: np.ndarray
    inverse: np.ndarray
    size: float
    doubt: float
    probabilities: np.ndarray | None


class _Classifier:
    """The penalised linear classifier of all rows, with weights in principal coordinates that have unit mean variance."""

    def __init__(self, statistics: Statistics, bound: _Bound) -> None:
        self.statistics, self.bound = statistics, bound
        self.scale = float(np.sqrt(statistics.total_variance / statistics.rank)) if statistics.rank else 1.0
        self.variances = statistics.values[:, None] / self.scale**2
        self.axes = None if statistics.n < statistics.d else statistics.compact(np.eye(statistics.rank))
        self.narrow_axes = None if self.axes is None else self.axes.astype(np.float32)
        width = statistics.rank if self.axes is None else statistics.d
        room = statistics.n * width <= KEPT
        self.kept = [(where, block.astype(np.float32)) for where, block in self._read()] if room else None

    def at(self, values: np.ndarray) -> _Point:
        """Return what the classifier is at `values`."""
        statistics, bound, n, classes = self.statistics, self.bound, self.statistics.n, self.statistics.classes
        across = values[:-1] if self.axes is None else self.axes.T @ values[:-1]
        probabilities = np.empty((n, classes), dtype=np.float32) if n * classes <= KEPT else None
        loss = trace = 0.0
        spread, weighted = np.zeros((2, classes))
        sums, biases = np.zeros((len(across), 2 * classes)), np.zeros(2 * classes)
        for where, block in self._read():
            actual = np.arange(len(block)), statistics.labels[where]
            chances = block @ across + values[-1]
            loss -= float(chances[actual].sum())
            loss += float(_softmax(chances).sum())
            if probabilities is not None:
                probabilities[where] = chances
            squares = np.einsum("ij,ij->i", block, block)
            weights = bound.variance * squares + bound.bias
            curved = chances * (1 - chances)
            trace += float(weights @ curved.sum(axis=1))
            spread += curved.sum(axis=0)
            weighted += squares @ curved
            tilts = curved - chances**2
            tilts = (tilts - chances * tilts.sum(axis=1, keepdims=True)) * weights[:, None]
            chances[actual] -= 1.0
            pulls = np.concatenate([chances, tilts], axis=1)
            sums += block.T @ pulls
            biases += pulls.sum(axis=0)
        slopes = np.concatenate([sums if self.axes is None else self.axes @ sums, biases[None]]) / n
        slope, tilt = slopes[:, :classes], slopes[:, classes:]
        slope[:-1] += bound.penalty * values[:-1]
        loss = loss / n + bound.penalty / 2 * float((values[:-1] ** 2).sum())
        gain = bound.gain * trace / n
        tilt *= bound.factor * bound.gain / (1 + gain)  # that of the logarithm
        curvature = self.variances * weighted / (n * max(statistics.rank, 1)) + bound.penalty
        inverse = 1 / (np.concatenate([curvature, spread[None] / n]) + TINY)
        size, tilted = (float(np.sqrt(np.vdot(one**2, inverse))) for one in (slope, tilt))
        sharpness = bound.factor * float(np.log1p(gain))
        return _Point(values, loss, sharpness, slope, inverse, size, size**2 / 2 + size * tilted, probabilities)

    def curved(self, point: _Point, direction: np.ndarray) -> np.ndarray:
        """Return the second derivative of the loss at `point` times a direction [r + 1, C].

        Products are in float32: they say where to look next, and what is found there is judged in float64.
        """
        across, shift = self._across(direction)
        sums, biases = np.zeros(across.shape, dtype=np.float32), np.zeros(len(shift), dtype=np.float32)
        for where, wide in self.kept or self._read():
            block = wide.astype(np.float32, copy=False)
            if point.probabilities is not None:
                chances = point.probabilities[where]
            else:
                weights, bias = self._across(point.values)
                _softmax(chances := block @ weights + bias)
            turns = chances * (block @ across + shift)
            turns -= chances * turns.sum(axis=1, keepdims=True)
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
        """Yield where some rows stand, and the rows less the mean at unit mean variance, few enough for their logits."""
        size = max(1, BLOCK // self.statistics.classes)
        for where, block in self.statistics.blocks():
            for start in range(0, len(block), size):
                part = block[start : start + size] / self.scale
                yield slice(where.start + start, where.start + start + len(part)), part


def _softmax(logits: np.ndarray) -> np.ndarray:
    """Turn logits [n, C] into probabilities where they stand; return the logarithms [n] of the sums of their exponentials."""
    largest = logits.max(axis=1, keepdims=True)
    np.exp(np.subtract(logits, largest, out=logits), out=logits)
    sums = logits.sum(axis=1, keepdims=True)
    logits /= sums
    return np.asarray((largest + np.log(sums))[:, 0])


def _least(classifier: _Classifier) -> float:
    """Return the bound where the penalised loss is least, by Newton's method."""
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
        f"pactran: the classifier has not settled in {STEPS} steps, and its bound may be off by {point.doubt:.1g}; take a "
        "smaller beta or prior_variance, or leave out reference."
    )


def _step(classifier: _Classifier, point: _Point) -> np.ndarray:
    """Return the step [r + 1, C] to where the loss would be least if it were a parabola, by conjugate gradients.

    The nearer the minimum, the better it is solved for, so that the distance falls faster and faster.
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


PACTRAN = register(
    Definition(
        name="pactran",
        function=pactran,
        options=PactranOptions(),
        sampling="subset",
        summary="Bound on the error of a linear classifier, from its penalised loss and how sharply that is curved.",
        meaning="How well a linear classifier fits with weights that are small and need not be exact. Minus a cross-entropy in "
        "nats with two penalties; 0 would be a perfect fit for nothing.",
        highest=0.0,
        paper="Ding et al., ECCV 2022",
        cost="some fifty passes of n d C",
    )
)
