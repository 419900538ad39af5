"""The first principal dimensions of the rows, and subsets of the rows, for scores that use only these."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from itm.scores.common.statistics import Statistics


@dataclass(frozen=True)
class Principal:
    """The first k principal dimensions, with the variances [k] along them in descending order.

    `centres` [C, k] are the class means minus the mean of all rows; `axes` [q, k] turn rows in `compact` coordinates into these
    dimensions.
    """

    statistics: Statistics
    variances: np.ndarray
    centres: np.ndarray
    axes: np.ndarray

    @property
    def dimensions(self) -> int:
        return len(self.variances)

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield the positions and values [m, k] of rows."""
        for where, block in self.statistics.blocks():
            yield where, block @ self.axes

    def rows(self, chosen: np.ndarray | None = None) -> np.ndarray:
        """Return all rows [n, k], or those with the ascending numbers `chosen`."""
        chosen = np.arange(self.statistics.n) if chosen is None else chosen
        found = np.empty((len(chosen), self.dimensions))
        for where, block in self.blocks():
            first, last = np.searchsorted(chosen, [where.start, where.stop])
            found[first:last] = block[chosen[first:last] - where.start]
        return found

    def residual_squares(self) -> np.ndarray:
        """Return the squared distance [n] of each row from the mean of its class in these dimensions."""
        found = np.empty(self.statistics.n)
        for where, block in self.blocks():
            residual = block - self.centres[self.statistics.labels[where]]
            found[where] = np.einsum("ij,ij->i", residual, residual)
        return found


def principal(statistics: Statistics, dimensions: int) -> Principal:
    """Return the first `dimensions` principal dimensions, or all if the rank is lower.

    The sign of an eigenvector is arbitrary. Each axis is pointed at the centre of the first class that lies at least half as
    far out as the farthest. Pointing it at the farthest would not do: with two classes of equal size the centres are opposite,
    and rounding would decide.
    """
    count = min(dimensions, statistics.rank)
    centres = statistics.centres[:, :count]
    far = np.abs(centres) >= np.abs(centres).max(axis=0) / 2
    signs = np.where(centres[far.argmax(axis=0), np.arange(count)] < 0, -1.0, 1.0)
    axes = statistics.compact(np.eye(count, statistics.rank) * signs[:, None]).T
    return Principal(statistics, statistics.values[:count], centres * signs, axes)


def places_in_class(labels: np.ndarray, seed: int) -> np.ndarray:
    """Return the place [n] of each row in a random order of the rows of its class, from 0 on."""
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    counts = np.bincount(labels)
    places = np.empty(len(labels), dtype=np.int64)
    places[order] = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    return places


def balanced(labels: np.ndarray, rows: int, seed: int) -> np.ndarray:
    """Return the ascending numbers of at most `rows` rows, the same number of every class as far as it has rows."""
    if len(labels) <= rows:
        return np.arange(len(labels))
    chance = np.random.default_rng(seed).random(len(labels))  # decides which classes have one row more than others
    return np.sort(np.lexsort((chance, places_in_class(labels, seed)))[:rows])
