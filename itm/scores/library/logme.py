"""LogME: the evidence of a Bayesian linear model from embeddings to classes, at its exact maximum.

Source: You, Liu, Wang, Long, "LogME: Practical Assessment of Pre-trained Models for Transfer Learning", ICML 2021, eq. (2).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from itm.scores.evaluate import Definition, Sample, register

GRID = 81  # points of the coarse search over log(s)
REFINEMENTS = 24  # golden-section steps after it: each keeps 0.618 of the bracket, and evidence is flat at its maximum
NOISE_FLOOR = 1e-10  # smallest noise variance, as a share of the target's mean square


@dataclass(frozen=True)
class LogmeOptions:
    """LogME has none."""


def logme(sample: Sample, options: LogmeOptions) -> float:  # noqa: ARG001
    """Return the mean over classes of the maximal log evidence per row, in nats.

    For one class with one-hot target t, weights w ~ N(0, I / alpha) and noise variance 1 / beta, write lambda = alpha / beta.
    With w integrated out, the covariance of t is (I + F F^T / lambda) / beta, so that

        2 E = -log det(I + F F^T / lambda) + n log beta - beta Q - n log 2 pi,    Q = t^T (I + F F^T / lambda)^-1 t.

    beta has a closed form, n / Q, and one search over lambda remains. Directions that the data do not reach add nothing, so
    N < D needs no correction; the published fixed point counts them in alpha's term only, off by (D - rank) / 2 log alpha. The
    noise floor keeps a class that is exactly linear in the features finite.

    F is not centred, and the shared statistics are: less its mean m, F is U (n values)^(1/2) V^T. Along U and e = 1 / sqrt(n),
    which are orthonormal, F F^T / n is an arrow: values_k on the diagonal, |m|^2 in its corner, and sqrt(values_k) u_k beside
    it, u = V^T m. With s = lambda / n and p_k = (s + values_k) / s, eliminating the corner leaves

        corner = 1 + (|m|^2 - |u|^2) / s + sum_k u_k^2 / (s + values_k),
        log det(I + F F^T / lambda) = sum_k log p_k + log corner,
        Q = sum_k x_k^2 / p_k + n (share - share sum_k u_k c_k / (s + values_k))^2 / corner + r0,

    where c is the class's centre, share its share of the rows, x_k = sqrt(n) share c_k / sqrt(values_k) what of t lies along U,
    and r0 what of |t|^2 is outside both. No difference of large numbers is left but in r0, which does not depend on lambda.
    """
    statistics = sample.statistics
    return mean_evidence(
        rows=statistics.n,
        shares=statistics.shares,
        values=statistics.values,
        centres=statistics.centres,
        mean_coordinates=statistics.mean_coordinates,
        mean_square=float(statistics.mean @ statistics.mean),
        total_variance=statistics.total_variance,
    )


def mean_evidence(
    *,
    rows: int,
    shares: np.ndarray,
    values: np.ndarray,
    centres: np.ndarray,
    mean_coordinates: np.ndarray,
    mean_square: float,
    total_variance: float,
) -> float:
    """Return what `logme` does, of what it needs of the statistics; `mean_square` is |m|^2."""
    scale = total_variance + mean_square or 1.0
    n, share = rows, shares
    mean = mean_coordinates[:, None] / np.sqrt(scale)  # u, [k, 1]
    outside = max(mean_square / scale - float((mean**2).sum()), 0.0)
    values = values[:, None] / scale
    centres = centres.T / np.sqrt(scale)  # [k, C]
    along = (share * centres) ** 2 / values  # x_k^2 / n
    leaning = mean * centres
    rest = np.maximum(share - share**2 - along.sum(axis=0), 0.0)  # r0 / n

    def evidence(log_ratio: np.ndarray) -> np.ndarray:
        ratio = np.exp(log_ratio)  # s, [C]
        kept = ratio / (ratio + values)  # 1 / p_k, [k, C]
        corner = 1 + (outside + (mean**2 * kept).sum(axis=0)) / ratio
        misfit = (along * kept).sum(axis=0) + rest
        misfit += share**2 * (1 - (leaning * kept).sum(axis=0) / ratio) ** 2 / corner
        misfit = np.maximum(misfit, NOISE_FLOOR * share)
        volume = np.log(corner) - np.log(kept).sum(axis=0)
        return np.asarray(-0.5 * (volume / n + np.log(misfit) + 1.0 + np.log(2 * np.pi)))

    return float(_maximum(evidence, len(shares)).mean())


def _maximum(evidence: Callable[[np.ndarray], np.ndarray], classes: int) -> np.ndarray:
    """Return the largest evidence of each class over log(s), s as a share of the mean square of a row.

    A grid over [-30, 30] comes first, then golden sections. At the upper end the model ignores the features, so the maximum is
    never worse than that.
    """
    grid = np.linspace(-30.0, 30.0, GRID)
    best = np.argmax([evidence(np.full(classes, point)) for point in grid], axis=0)
    low, high = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, GRID - 1)]
    golden = (np.sqrt(5) - 1) / 2
    for _ in range(REFINEMENTS):
        left, right = high - golden * (high - low), low + golden * (high - low)
        left_is_better = evidence(left) > evidence(right)
        high, low = np.where(left_is_better, right, high), np.where(left_is_better, low, left)
    return np.asarray(evidence((low + high) / 2))


LOGME = register(
    Definition(
        name="logme",
        function=logme,
        options=LogmeOptions(),
        sampling="subset",
        summary="Evidence of a Bayesian linear model from the embeddings to the classes.",
        meaning="How probable the labels are under a linear model, averaged over its weights; in nats per image and class. "
        "Differences matter, the zero does not.",
        paper="You et al., ICML 2021",
        cost="the shared eigendecomposition",
    )
)
