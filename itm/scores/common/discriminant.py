"""Linear discriminants: the posterior of each row's own class under Gaussians that share one covariance within classes.

In principal coordinates the covariance of all rows is diag(values), and that within classes Sw = diag(values) - B B^T, where
column c of B [r, C] is sqrt(share_c) times the centre of class c. Shrunk towards a multiple of the identity,

    (1 - a) Sw + ridge I = D - (1 - a) B B^T,    D = (1 - a) diag(values) + ridge I,    ridge = a tr(Sw) / dimensions,

is a diagonal less C directions, so that its inverse takes a system of C equations and no second decomposition (Woodbury).
A shift of the origin changes all logits of a row alike, so rows and centres are taken less the mean of all.

`dimensions` is the rank of the rows, not the width of the space: a wider space that says nothing more must not change a score.
No direction counts as less varied than FLOOR of the mean variance of all rows, so that classes that are points, or lie in
exact hyperplanes, are told apart for certain instead of by rounding.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.special

from itm.scores.common.statistics import BLOCK, Statistics

FLOOR = 1e-10

Rows = Iterable[tuple[slice, np.ndarray]]  # where some rows stand, and these rows


@dataclass(frozen=True)
class Discriminant:
    """A row f has the logit weights[c] . f + offsets[c] of class c; the weights [C, q] are in the coordinates of the rows."""

    weights: np.ndarray
    offsets: np.ndarray

    def chances(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the probability [m, C] of each class, some rows at a time."""
        size = max(1, BLOCK // len(self.offsets))
        for start in range(0, len(rows), size):
            yield scipy.special.softmax(rows[start : start + size] @ self.weights.T + self.offsets, axis=1)

    def posterior(self, rows: Rows, labels: np.ndarray, softened: bool = False) -> np.ndarray:
        """Return the posterior [n] of each row's own class; `softened`, it goes through one more softmax over all classes."""
        found = np.empty(len(labels))
        for where, block in rows:
            done = where.start
            for chances in self.chances(block):
                own = slice(done, done + len(chances))
                if softened:
                    chances = scipy.special.softmax(chances, axis=1)
                found[own] = chances[np.arange(len(chances)), labels[own]]
                done += len(chances)
        return found


def moved(statistics: Statistics, shifts: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the blocks of the statistics, each row shifted by what its class is, [C, r] in principal coordinates."""
    across = statistics.compact(shifts)
    still = not shifts.any()
    for where, block in statistics.blocks():
        yield where, block if still else block + across[statistics.labels[where]]


def ledoit_wolf(statistics: Statistics) -> float:
    """Return how far the covariance within classes is best shrunk towards a multiple of the identity, from 0 to 1."""
    values, between = statistics.values, _between(statistics)
    squared = (values**2).sum() - 2 * values @ (between**2).sum(axis=1) + ((between.T @ between) ** 2).sum()
    return intensity(statistics.residual_squares, float(squared), statistics.rank)


def intensity(squares: np.ndarray, squared: float, rank: int) -> float:
    """Return the intensity of Ledoit and Wolf for n residuals of `rank` dimensions with squared lengths `squares` [n].

    With S their covariance and `squared` its squared Frobenius norm, it is the noise of S, (mean(squares^2) - squared) / n,
    over how far S is from a multiple of the identity, squared - tr(S)^2 / rank (Journal of Multivariate Analysis 2004). It
    depends on no unit, and falls with n: a data set that holds every row twice is shrunk half as much.
    """
    trace = float(squares.mean())
    if not trace > 0:
        return 1.0
    length = float(np.clip(squared / trace**2, 1 / rank, 1.0))  # its bounds; subtractions lose them where classes are points
    noise = max(float(((squares / trace) ** 2).mean()) - length, 0.0) / len(squares)
    return min(noise / (length - 1 / rank), 1.0) if noise < length - 1 / rank else 1.0


def discriminant(statistics: Statistics, shrinkage: float, dimensions: int, centres: np.ndarray) -> Discriminant:
    """Return the discriminant of classes with the covariance within them that the statistics have, and these `centres` [C, r].

    The weights are for rows in compact coordinates. Where there are as many classes as dimensions, the small system is that of
    the dimensions.
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
    rest = np.maximum(1 - kept, ridge / diagonal.max())  # not below what the ridge leaves, where rounding would
    white = centres / np.sqrt(diagonal)
    white += ((white @ scaled) @ turn / rest) @ turn.T @ scaled.T
    weights = white / np.sqrt(diagonal)
    return Discriminant(statistics.compact(weights), _offsets(weights, centres, statistics.shares))


def solved(
    scatter: np.ndarray, total: float, centres: np.ndarray, shares: np.ndarray, shrinkage: float, dimensions: int
) -> Discriminant:
    """Return the discriminant of a covariance within classes [q, q], which is overwritten, and `centres` [C, q].

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


def nearest_mean(centres: np.ndarray, shares: np.ndarray) -> Discriminant:
    """Return the discriminant whose covariance within classes is the identity, in the unit that features happen to have."""
    return Discriminant(centres, _offsets(centres, centres, shares))


def _between(statistics: Statistics) -> np.ndarray:
    """Return B [r, C]."""
    return np.asarray(statistics.centres.T * np.sqrt(statistics.shares))


def _offsets(weights: np.ndarray, centres: np.ndarray, shares: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(shares) - 0.5 * np.einsum("ij,ij->i", weights, centres))
