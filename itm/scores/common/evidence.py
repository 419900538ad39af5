"""The evidence of Bayesian linear models from embeddings to targets, at its exact maximum.

Source: You, Liu, Wang, Long, "LogME: Practical Assessment of Pre-trained Models for Transfer Learning", ICML 2021, eq. (2).

The model of one target t [n] has weights w ~ N(0, I / alpha) and noise of variance 1 / beta. Let lambda = alpha / beta. With w
integrated out, the covariance of t is (I + F F^T / lambda) / beta, and the log evidence E satisfies

    2 E = -log det(I + F F^T / lambda) + n log beta - beta Q - n log 2 pi,    Q = t^T (I + F F^T / lambda)^-1 t.

The best beta is n / Q; a search over lambda remains. Directions in which no row lies add nothing, so n < d needs no correction.
(The published fixed point counts them in alpha's term only and is off by (d - rank) / 2 log alpha.)

F is not centred, but the shared statistics are. Let m be the mean of the rows. F minus its mean is U (n values)^(1/2) V^T.
The columns of U and e = 1 / sqrt(n) are orthonormal. Along them F F^T / n is an arrow matrix: values_k on the diagonal, |m|^2
in the corner and sqrt(values_k) u_k in the corner's row and column, where u = V^T m. Let s = lambda / n and
p_k = (s + values_k) / s. Eliminating the corner leaves

    corner = 1 + (|m|^2 - |u|^2) / s + sum_k u_k^2 / (s + values_k),
    log det(I + F F^T / lambda) = sum_k log p_k + log corner,
    Q = sum_k x_k^2 / p_k + n (mean(t) - sum_k u_k b_k / (s + values_k))^2 / corner + r0,

where b_k is the mean of t times the k-th principal coordinate, x_k = sqrt(n) b_k / sqrt(values_k) is the part of t along U, and
r0 is what of |t|^2 lies outside U and e. The only difference of large numbers is r0, which does not depend on lambda.
"""

from collections.abc import Callable

import numpy as np

GRID = 81  # points of the coarse search over log(s)
REFINEMENTS = 24  # golden-section steps after it: each keeps 0.618 of the bracket, and evidence is flat at its maximum
NOISE_FLOOR = 1e-10  # smallest noise variance, relative to the mean square of the target; keeps exactly linear targets finite


def mean_evidence(
    *,
    rows: int,
    weights: np.ndarray,
    means: np.ndarray,
    products: np.ndarray,
    mean_squares: np.ndarray,
    values: np.ndarray,
    mean_coordinates: np.ndarray,
    mean_square: float,
    total_variance: float,
) -> float:
    """Return the mean over targets of the maximal log evidence per row, in nats.

    A target is given as t = weight * v. For the indicator of a class the weight is the share of the class: v then has the mean
    1, and its mean product with the rows is the centre of the class. For a real-valued target the weight is 1.

    Parameters
    ----------
    rows
        Number of rows n.
    weights, mean_squares
        The weight [T] and the mean square [T] of each target t.
    means, products
        The mean [T] of v over rows, and that [T, r] of v times the centred row in principal coordinates.
    values, total_variance
        Eigenvalues [r] and trace of the covariance of the rows.
    mean_coordinates, mean_square
        u [r], the mean of the rows in principal coordinates, and |m|^2.
    """
    scale = total_variance + mean_square or 1.0
    mean = mean_coordinates[:, None] / np.sqrt(scale)  # u, [k, 1]
    outside = max(mean_square / scale - float((mean**2).sum()), 0.0)
    values = values[:, None] / scale
    products = products.T / np.sqrt(scale)  # [k, T]
    along = (weights * products) ** 2 / values  # x_k^2 / n
    leaning = mean * products
    rest = np.maximum(mean_squares - (weights * means) ** 2 - along.sum(axis=0), 0.0)  # r0 / n

    def evidence(log_ratio: np.ndarray) -> np.ndarray:
        ratio = np.exp(log_ratio)  # s, [T]
        kept = ratio / (ratio + values)  # 1 / p_k, [k, T]
        corner = 1 + (outside + (mean**2 * kept).sum(axis=0)) / ratio
        misfit = (along * kept).sum(axis=0) + rest
        misfit += weights**2 * (means - (leaning * kept).sum(axis=0) / ratio) ** 2 / corner
        misfit = np.maximum(misfit, NOISE_FLOOR * mean_squares)
        volume = np.log(corner) - np.log(kept).sum(axis=0)
        return np.asarray(-0.5 * (volume / rows + np.log(misfit) + 1.0 + np.log(2 * np.pi)))

    return float(_maximum(evidence, len(weights)).mean())


def _maximum(evidence: Callable[[np.ndarray], np.ndarray], targets: int) -> np.ndarray:
    """Return the largest evidence [T] of each target over log(s), where s is relative to the mean square of a row.

    A grid over [-30, 30] is refined by golden sections. At its upper end the model ignores the features, so the maximum is
    never worse than that.
    """
    grid = np.linspace(-30.0, 30.0, GRID)
    best = np.argmax([evidence(np.full(targets, point)) for point in grid], axis=0)
    low, high = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, GRID - 1)]
    golden = (np.sqrt(5) - 1) / 2
    for _ in range(REFINEMENTS):
        left, right = high - golden * (high - low), low + golden * (high - low)
        left_is_better = evidence(left) > evidence(right)
        high, low = np.where(left_is_better, right, high), np.where(left_is_better, low, left)
    return np.asarray(evidence((low + high) / 2))
