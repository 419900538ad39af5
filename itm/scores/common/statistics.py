"""Sums over rows that several scores share: one pass over the embeddings and one eigendecomposition.

Let F [n, d] be the rows minus their mean. A score that does not change when the space is rotated depends on F only through its
inner products. Such scores work in principal coordinates: Z [n, r] with F = Z V^T, where V [d, r] is orthonormal and r is the
rank. They are computed from the smaller of two Gram matrices:

- n >= d: the covariance F^T F / n = V diag(values) V^T, summed over blocks of rows; Z = F V is never stored.
- n < d: the inner products F F^T / n = U diag(values) U^T; Z = U diag(n values)^(1/2) is stored.

Directions in which no row lies are removed either way. So neither a wider space nor duplicated features change a score.

eigh of the smaller Gram matrix costs min(n, d)^3. An SVD of F costs several times n d min(n, d). Squaring loses eigenvalues
below 1e-12 of the largest; they count as zero.
"""

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import scipy.linalg
import scipy.sparse

BLOCK = 2**21  # numbers converted to float64 at once: 16 MiB
NEGLIGIBLE = 1e-12  # relative to the largest eigenvalue
ROUNDING = 1e-14  # relative to the length of the mean


class Statistics:
    """Sums over the rows [n, d] of a table, in float64. Each part is computed when it is first used.

    Covariances divide by n. Classes are numbered from 0 to C - 1, and each has at least one row.
    """

    def __init__(self, table: np.ndarray, rows: np.ndarray, labels: np.ndarray) -> None:
        self._table, self._rows, self.labels = table, rows, labels
        self.n, self.d = len(rows), int(table.shape[1])
        self.counts = np.bincount(labels)
        self.classes = len(self.counts)

    @property
    def shares(self) -> np.ndarray:
        """Return the share [C] of the rows that each class has."""
        return np.asarray(self.counts / self.n)

    @property
    def mean(self) -> np.ndarray:
        """Return the mean [d] of all rows."""
        return self._sums[0]

    @property
    def class_means(self) -> np.ndarray:
        """Return the mean [C, d] of the rows of each class."""
        return self._sums[1]

    @property
    def class_variances(self) -> np.ndarray:
        """Return the variance [C, d] of each feature within each class."""
        return self._sums[2]

    @cached_property
    def total_variance(self) -> float:
        """Return the trace of the covariance: the mean squared distance of a row from the mean."""
        between = ((self.class_means - self.mean) ** 2).sum(axis=1)
        return float(self.shares @ (self.class_variances.sum(axis=1) + between))

    @property
    def values(self) -> np.ndarray:
        """Return the eigenvalues [r] of the covariance that are not negligible, in descending order."""
        return self._spectrum[0]

    @property
    def rank(self) -> int:
        return len(self.values)

    @property
    def centres(self) -> np.ndarray:
        """Return the class means minus the mean of all rows, in principal coordinates [C, r]."""
        return self._spectrum[2]

    @property
    def mean_coordinates(self) -> np.ndarray:
        """Return the projection of the mean of all rows onto the span of the centred rows, in principal coordinates [r]."""
        return self._spectrum[3]

    @cached_property
    def squares(self) -> np.ndarray:
        """Return the squared distance [n] of each row from the mean of all rows."""
        return np.concatenate([np.einsum("ij,ij->i", block, block) for _, block in self.blocks()])

    @cached_property
    def residual_squares(self) -> np.ndarray:
        """Return the squared distance [n] of each row from the mean of its class."""
        centres = self.compact(self.centres)
        parts = []
        for where, block in self.blocks():
            block = block - centres[self.labels[where]]
            parts.append(np.einsum("ij,ij->i", block, block))
        return np.concatenate(parts)

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield the positions and values [m, q] of centred rows in `compact` coordinates. The arrays are read-only by contract.

        Compact coordinates are the cheapest to read: the features where n >= d, principal coordinates where n < d.
        """
        if self.n < self.d:
            yield slice(0, self.n), self._spectrum[1]
            return
        for where, block in self._read():
            block -= self.mean
            yield where, block

    def rows_of(self, label: int) -> Iterator[np.ndarray]:
        """Yield the rows [m, q] of one class minus the mean of all rows, in `compact` coordinates and in blocks."""
        members = np.flatnonzero(self.labels == label)
        if self.n < self.d:
            yield self._spectrum[1][members]
            return
        size = max(1, BLOCK // self.d)
        for start in range(0, len(members), size):
            yield self._table[self._rows[members[start : start + size]]].astype(np.float64) - self.mean

    def compact(self, coordinates: np.ndarray) -> np.ndarray:
        """Convert vectors from principal coordinates [k, r] to the coordinates of `blocks` [k, q]."""
        return coordinates if self.n < self.d else coordinates @ self._spectrum[1].T

    def mean_products(self, targets: np.ndarray) -> np.ndarray:
        """Return the mean over rows of targets [n, k] times the centred row, in principal coordinates [k, r]."""
        parts = sum(targets[where].T @ block for where, block in self.blocks())
        products = np.asarray(parts / self.n)
        return products if self.n < self.d else products @ self._spectrum[1]

    def _read(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield the positions of rows and a copy of them in float64, in blocks."""
        size = max(1, BLOCK // self.d)
        for start in range(0, self.n, size):
            where = slice(start, min(start + size, self.n))
            yield where, self._table[self._rows[where]].astype(np.float64)

    @cached_property
    def _sums(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return the mean [d], class means [C, d], class variances [C, d], and the covariance [d, d] where n >= d, else [0, 0].

        Sums are of the distances from the mean of the first block. A mean far from zero then costs no digits.
        """
        sums, squares = np.zeros((self.classes, self.d)), np.zeros((self.classes, self.d))
        scatter = np.zeros((self.d, self.d) if self.n >= self.d else (0, 0))
        shift = np.zeros(self.d)
        for where, block in self._read():
            shift = block.mean(axis=0) if where.start == 0 else shift
            block -= shift
            members = membership(self.labels[where], self.classes)
            sums += members @ block
            if self.n >= self.d:
                scatter += block.T @ block
            squares += members @ np.square(block, out=block)
        means = sums / self.counts[:, None]
        mean = sums.sum(axis=0) / self.n
        if self.n >= self.d:
            scatter = scatter / self.n - np.outer(mean, mean)
        variances = np.maximum(squares / self.counts[:, None] - means**2, 0.0)
        return mean + shift, means + shift, variances, scatter

    @cached_property
    def _spectrum(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return the eigenvalues [r], the axes [d, r] if n >= d or the rows [n, r] if n < d, the class centres and the mean."""
        mean, means, _, scatter = self._sums
        if self.n >= self.d:
            values, axes = _eigen(scatter, mean)
            return values, axes, (means - mean) @ axes, mean @ axes
        rows = np.concatenate([block for _, block in self._read()]) - mean
        values, vectors = _eigen(rows @ rows.T / self.n, mean)
        along = np.sqrt(self.n * values)
        coordinates = vectors * along
        centres = membership(self.labels, self.classes) @ coordinates / self.counts[:, None]
        return values, coordinates, centres, (rows @ mean) @ vectors / along


def membership(labels: np.ndarray, classes: int) -> scipy.sparse.csr_matrix:
    """Return the matrix [C, m] that is 1 where a row belongs to a class; its product with rows [m, d] sums them by class."""
    count = len(labels)
    return scipy.sparse.csr_matrix((np.ones(count), (labels, np.arange(count))), shape=(classes, count))


def _eigen(matrix: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the eigenvalues of a symmetric matrix that are not negligible, in descending order, with their eigenvectors.

    Equal rows differ from their mean by its rounding error. Its square must not count as a direction.
    """
    values, vectors = scipy.linalg.eigh(matrix, driver="evd", check_finite=False)
    kept = int((values > max(NEGLIGIBLE * values[-1], (ROUNDING**2) * float(mean @ mean))).sum())
    return values[::-1][:kept], np.ascontiguousarray(vectors[:, ::-1][:, :kept])
