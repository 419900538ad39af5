"""The first principal dimensions of a sample's rows, for scores that look at no others."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from itm.scores.common.statistics import Statistics


@dataclass(frozen=True)
class Principal:
    """The first k principal dimensions: the `variances` [k] along them, and the classes' `centres` [C, k].

    Rows in `compact` coordinates times `axes` [q, k] are rows in these dimensions.
    """

    statistics: Statistics
    variances: np.ndarray
    centres: np.ndarray
    axes: np.ndarray

    @property
    def dimensions(self) -> int:
        return len(self.variances)

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield where some rows stand, and the rows [m, k]."""
        for where, block in self.statistics.blocks():
            yield where, block @ self.axes

    def rows(self, chosen: np.ndarray | None = None) -> np.ndarray:
        """Return all rows [n, k], or those whose ascending numbers are `chosen`."""
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
    """Return the first `dimensions` principal dimensions, or as many as the rows reach.

    An eigenvector's own sign means nothing. Each axis points to where the centre of the first class is that lies at least half
    as far out as any: of two classes of one size the centres are opposite, and rounding would say which is the farther.
    """
    count = min(dimensions, statistics.rank)
    centres = statistics.centres[:, :count]
    far = np.abs(centres) >= np.abs(centres).max(axis=0) / 2
    signs = np.where(centres[far.argmax(axis=0), np.arange(count)] < 0, -1.0, 1.0)
    axes = statistics.compact(np.eye(count, statistics.rank) * signs[:, None]).T
    return Principal(statistics, statistics.values[:count], centres * signs, axes)
