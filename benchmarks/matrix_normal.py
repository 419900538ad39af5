"""A matrix-normal model of a table whose rows are models and whose columns are data sets.

The covariance of two cells is that of their models times that of their data sets. The covariance of the models is learned: it
has an inverse-Wishart prior, so its posterior mean is the prior's mean and the observed products, weighted by their counts.
"""

from dataclasses import dataclass

import numpy as np
from scipy import linalg

SWEEPS = 2  # over the columns, to fill gaps; more change no pick on the published tables


@dataclass(frozen=True, eq=False)
class Gaps:
    """The unknown cells of a column: row numbers [g], and the covariance [g, g] that is left given all other cells.

    The covariance is relative to the variance of the column given the other columns.
    """

    column: int
    rows: np.ndarray
    covariance: np.ndarray


@dataclass(frozen=True, eq=False)
class MatrixNormal:
    """A table whose gaps are filled, [m, d], and what it was filled by.

    `prior` [m, m] is the expected covariance of the models, worth `strength` data sets. `relation` [d, d] is the covariance of
    the data sets. All values have the mean 0.
    """

    values: np.ndarray
    prior: np.ndarray
    relation: np.ndarray
    strength: float
    gaps: tuple[Gaps, ...] = ()

    def row_covariance(self) -> np.ndarray:
        """Return the posterior mean of the covariance of the models, [m, m]."""
        products = self.values @ linalg.solve(self.relation, self.values.T, assume_a="pos")
        for own in self.gaps:
            products[np.ix_(own.rows, own.rows)] += own.covariance
        return np.asarray((self.strength * self.prior + products) / (self.strength + self.values.shape[1]))

    def predict(self, related: np.ndarray, variance: float) -> tuple[np.ndarray, np.ndarray]:
        """Return mean [m] and covariance [m, m] of a new column.

        Parameters
        ----------
        related
            Covariance of the new data set with those of the table, [d].
        variance
            Variance of the new data set.
        """
        precision = linalg.inv(self.relation)
        weights = precision @ related
        covariance = self.row_covariance() * float(variance - related @ weights)
        for own in self.gaps:
            share = weights[own.column] ** 2 / precision[own.column, own.column]
            covariance[np.ix_(own.rows, own.rows)] += share * own.covariance
        return self.values @ weights, covariance


def fill(values: np.ndarray, prior: np.ndarray, relation: np.ndarray, strength: float) -> MatrixNormal:
    """Return the model of a table [m, d] in which gaps are NaN.

    Gaps are filled by their expectation: a column is predicted from the other columns, and then from its own known cells. A row
    without any value gets what its similarity to other rows says, and 0 if it is similar to none.
    """
    known = np.isfinite(values)
    row_means = np.where(known, values, 0.0).sum(axis=1) / (known.sum(axis=1) + 1)  # one more cell of 0: few cells say little
    model = MatrixNormal(np.where(known, values, row_means[:, None]), prior, relation, strength)
    columns = np.flatnonzero(~known.all(axis=0))
    if not len(columns):
        return model
    precision = linalg.inv(relation)
    for _ in range(SWEEPS):
        covariance = model.row_covariance()
        filled = model.values.copy()
        left = []
        for column in columns:
            own, gaps = np.flatnonzero(known[:, column]), np.flatnonzero(~known[:, column])
            others = precision[:, column].copy()
            others[column] = 0.0
            expected = -filled @ others / precision[column, column]
            shared = covariance[np.ix_(own, gaps)]
            gains = linalg.solve(covariance[np.ix_(own, own)], shared, assume_a="pos") if len(own) else shared
            filled[gaps, column] = expected[gaps] + gains.T @ (values[own, column] - expected[own])
            left.append(Gaps(int(column), gaps, covariance[np.ix_(gaps, gaps)] - shared.T @ gains))
        model = MatrixNormal(filled, prior, relation, strength, tuple(left))
    return model
