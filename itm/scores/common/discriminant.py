"""Linear discriminants: the posterior of each row's class under Gaussians that share one covariance within classes.

In principal coordinates the covariance of all rows is diag(values). The covariance within classes is Sw = diag(values) - B B^T,
where column c of B [r, C] is sqrt(share_c) times the centre of class c. Shrunk towards a multiple of the identity,

    (1 - a) Sw + ridge I = D - (1 - a) B B^T,    D = (1 - a) diag(values) + ridge I,    ridge = a tr(Sw) / dimensions,

it is a diagonal matrix minus one of rank C. By the Woodbury identity its inverse takes a system of C equations and no second
decomposition. A shift of the origin changes all logits of a row by the same amount, so rows and centres are taken relative to
the mean of all rows.

`dimensions` is the rank of the rows and not the width of the space: a wider space without information must not change a score.
The variance along a direction is at least FLOOR times the mean variance of all rows. Without it, classes that are points or lie
in exact hyperplanes would be separated by rounding errors.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.special

from itm.scores.common.statistics import BLOCK, Statistics

FLOOR = 1e-10

Rows = Iterable[tuple[slice, np.ndarray]]  # positions of rows, and the rows


@dataclass(frozen=True)
class Discriminant:
    """The logit of class c for a row f is weights[c] . f + offsets[c]; weights [C, q] are in the coordinates of the rows."""

    weights: np.ndarray
    offsets: np.ndarray

    def probabilities(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the probability [m, C] of each class for each row, in blocks of rows."""
        size = max(1, BLOCK // len(self.offsets))
        for start in range(0, len(rows), size):
            yield scipy.special.softmax(rows[start : start + size] @ self.weights.T + self.offsets, axis=1)

    def posterior(self, rows: Rows, labels: np.ndarray, softened: bool = False) -> np.ndarray:
        """Return the posterior [n] of each row's class; with `softened` after one more softmax over all classes."""
        found = np.empty(len(labels))
        for where, block in rows:
            done = where.start
            for probabilities in self.probabilities(block):
                own = slice(done, done + len(probabilities))
                if softened:
                    probabilities = scipy.special.softmax(probabilities, axis=1)
                found[own] = probabilities[np.arange(len(probabilities)), labels[own]]
                done += len(probabilities)
        return found


def moved(statistics: Statistics, shifts: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the blocks of the statistics with each row shifted by the shift of its class, [C, r] in principal coordinates."""
    across = statistics.compact(shifts)
    still = not shifts.any()
    for where, block in statistics.blocks():
        yield where, block if still else block + across[statistics.labels[where]]


def ledoit_wolf(statistics: Statistics) -> float:
    """Return the best shrinkage of the covariance within classes towards a multiple of the identity, from 0 to 1."""
    values, between = statistics.values, _between(statistics)
    squared = (values**2).sum() - 2 * values @ (between**2).sum(axis=1) + ((between.T @ between) ** 2).sum()
    return intensity(statistics.residual_squares, float(squared), statistics.rank)


def intensity(squares: np.ndarray, squared: float, rank: int) -> float:
    """Return the shrinkage intensity of Ledoit and Wolf, Journal of Multivariate Analysis 2004, for n residuals.

    Let S be the covariance of the residuals. The intensity is the noise of S, (mean(squares^2) - squared) / n, divided by the
    distance of S from a multiple of the identity, squared - tr(S)^2 / rank. It does not depend on the unit and falls with n: a
    data set with every row twice is shrunk half as much.

    `squares` [n] are the squared lengths of the residuals, `squared` is the squared Frobenius norm of S and `rank` the number
    of dimensions of the residuals.
    """
    trace = float(squares.mean())
    if not trace > 0:
        return 1.0
    length = float(np.clip(squared / trace**2, 1 / rank, 1.0))  # subtractions can break these bounds
    noise = max(float(((squares / trace) ** 2).mean()) - length, 0.0) / len(squares)
    return min(noise / (length - 1 / rank), 1.0) if noise < length - 1 / rank else 1.0


def discriminant(statistics: Statistics, shrinkage: float, dimensions: int, centres: np.ndarray) -> Discriminant:
    """Return the discriminant for the covariance within classes of the statistics and the class centres [C, r].

    The weights are for rows in compact coordinates. With at least as many classes as dimensions, a system of the dimensions is
    the smaller one.
    """
    values, between, rank = statistics.values, _between(statistics), statistics.rank
    if statistics.classes >= rank:
        scatter = np.diag(values) - between @ between.T
        found = solved(scatter, float(values.sum()), centres, statistics.shares, shrinkage, dimensions)
        return Discriminant(statistics.compact(found.weights), found.offsets)
    ridge = max(shrinkage * float(statistics.residual_squares.mean()), FLOOR * float(values.sum())) / dimensions
    diagonal = (1 - shrinkage) * values + ridge
    scaled = between * np.sqrt((1 - shrinkage) / diagonal)[:, None]
    kept, turn = scipy.linalg.eigh(scaled.T @ scaled, check_finite=False)
    rest = np.maximum(1 - kept, ridge / diagonal.max())  # rounding must not go below what the ridge leaves
    white = centres / np.sqrt(diagonal)
    white += ((white @ scaled) @ turn / rest) @ turn.T @ scaled.T
    weights = white / np.sqrt(diagonal)
    return Discriminant(statistics.compact(weights), _offsets(weights, centres, statistics.shares))


def solved(
    scatter: np.ndarray, total: float, centres: np.ndarray, shares: np.ndarray, shrinkage: float, dimensions: int
) -> Discriminant:
    """Return the discriminant for a covariance within classes [q, q], which is overwritten, and class centres [C, q].

    `total` is the trace of the covariance of all rows.
    """
    ridge = max(shrinkage * float(scatter.trace()), FLOOR * total) / max(dimensions, 1)
    if not ridge > 0:
        return Discriminant(np.zeros_like(centres), np.log(shares))
    scatter *= 1 - shrinkage
    scatter.flat[:: len(scatter) + 1] += ridge
    factor = scipy.linalg.cho_factor(scatter, lower=True, overwrite_a=True, check_finite=False)
    weights = scipy.linalg.cho_solve(factor, centres.T, check_finite=False).T
    return Discriminant(weights, _offsets(weights, centres, shares))


def _between(statistics: Statistics) -> np.ndarray:
    """Return B [r, C]."""
    return np.asarray(statistics.centres.T * np.sqrt(statistics.shares))


def _offsets(weights: np.ndarray, centres: np.ndarray, shares: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(shares) - 0.5 * np.einsum("ij,ij->i", weights, centres))
