"""Sums over rows that several scores share: one pass over the embeddings, and one eigendecomposition of what it gives.

Write F [n, d] for the rows less their mean. Scores that do not care how the space is turned see F only through its inner
products, so they can work in *principal coordinates*: Z [n, r] with F = Z V^T, V [d, r] orthonormal, r the rank. They come from
the smaller of two Gram matrices, and either way directions that the data do not reach are gone, so that neither a wider space
nor duplicated features change a score:

- n >= d: the covariance F^T F / n = V diag(values) V^T, summed over blocks of rows, and Z = F V is never kept;
- n < d: the inner products F F^T / n = U diag(values) U^T, and Z = U diag(n values)^(1/2) is.

eigh of the smaller Gram matrix costs min(n, d)^3, where an SVD of F costs several times n d min(n, d). What squaring loses are
eigenvalues below 1e-12 of the largest, which are counted as zero.
"""

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import scipy.linalg
import scipy.sparse

BLOCK = 2**21  # numbers turned into float64 at once: 16 MiB
NEGLIGIBLE = 1e-12  # of the largest eigenvalue
ROUNDING = 1e-14  # of the mean's length


class Statistics:
    """What one pass over rows [n, d] of a table gives, each part computed when it is first asked for; all of it in float64.

    Covariances divide by n. The rows of a class follow the numbers 0 to C - 1, each of which has at least one row.
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
        """Return the mean [C, d] of each class's rows."""
        return self._sums[1]

    @property
    def class_variances(self) -> np.ndarray:
        """Return the variance [C, d] of each feature among a class's rows, around the mean of the class."""
        return self._sums[2]

    @cached_property
    def total_variance(self) -> float:
        """Return the trace of the covariance: the mean squared distance of a row from the mean."""
        between = ((self.class_means - self.mean) ** 2).sum(axis=1)
        return float(self.shares @ (self.class_variances.sum(axis=1) + between))

    @property
    def values(self) -> np.ndarray:
        """Return the eigenvalues [r] of the covariance that are not negligible, the largest first."""
        return self._spectrum[0]

    @property
    def rank(self) -> int:
        """Return how many directions the rows reach."""
        return len(self.values)

    @property
    def centres(self) -> np.ndarray:
        """Return the means [C, r] of the classes less the mean of all rows, in principal coordinates."""
        return self._spectrum[2]

    @property
    def mean_coordinates(self) -> np.ndarray:
        """Return what of the mean of all rows lies in the span of the rows less it, in principal coordinates [r]."""
        return self._spectrum[3]

    @cached_property
    def squares(self) -> np.ndarray:
        """Return the squared distance [n] of each row from the mean of all."""
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
        """Yield where some rows stand, and the rows [m, q] less the mean in `compact` coordinates; not to be written to.

        Compact coordinates are what is cheapest to read: the features themselves where n >= d, principal ones where n < d.
        """
        if self.n < self.d:
            yield slice(0, self.n), self._spectrum[1]
            return
        for where, block in self._read():
            block -= self.mean
            yield where, block

    def rows_of(self, label: int) -> Iterator[np.ndarray]:
        """Yield the rows of one class less the mean of all, some [m, q] at a time, in `compact` coordinates."""
        members = np.flatnonzero(self.labels == label)
        if self.n < self.d:
            yield self._spectrum[1][members]
            return
        size = max(1, BLOCK // self.d)
        for start in range(0, len(members), size):
            yield self._table[self._rows[members[start : start + size]]].astype(np.float64) - self.mean

    def compact(self, coordinates: np.ndarray) -> np.ndarray:
        """Return vectors [k, r] given in principal coordinates in those of `blocks`, [k, q]."""
        return coordinates if self.n < self.d else coordinates @ self._spectrum[1].T

    def project(self, directions: np.ndarray) -> np.ndarray:
        """Return the inner products [n, k] of the rows less the mean with directions [r, k] given in principal coordinates."""
        across, found = self.compact(directions.T).T, np.empty((self.n, directions.shape[1]))
        for where, block in self.blocks():
            np.matmul(block, across, out=found[where])
        return found

    def _read(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield where some rows stand, and a copy of them in float64."""
        size = max(1, BLOCK // self.d)
        for start in range(0, self.n, size):
            where = slice(start, min(start + size, self.n))
            yield where, self._table[self._rows[where]].astype(np.float64)

    @cached_property
    def _sums(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return the mean [d], class means [C, d], class variances [C, d], and the covariance [d, d] where n >= d, else [0, 0].

        Sums are of the distances from the mean of the first block, so that a mean far from zero costs no digits.
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
        """Return the eigenvalues [r], axes [d, r] where n >= d or rows [n, r] where not, and class centres and mean in them."""
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
    """Return the matrix [C, m] that is 1 where a row is of a class, so that its product with rows [m, d] sums them by class."""
    count = len(labels)
    return scipy.sparse.csr_matrix((np.ones(count), (labels, np.arange(count))), shape=(classes, count))


def _eigen(matrix: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the eigenvalues of a symmetric matrix that are not negligible, the largest first, with their eigenvectors.

    Rows that all are alike differ from their mean by its rounding, whose squares must not be taken for directions.
    """
    values, vectors = scipy.linalg.eigh(matrix, driver="evd", check_finite=False)
    kept = int((values > max(NEGLIGIBLE * values[-1], (ROUNDING**2) * float(mean @ mean))).sum())
    return values[::-1][:kept], np.ascontiguousarray(vectors[:, ::-1][:, :kept])
