"""SFDA: a discriminant that is learnt again after rows it is unsure of have been mixed with the other classes.

Source: Shao, Zhao, Ge, Zhang, Yang, Wang, Shan, Luo, "Not All Models Are Equal: Predicting Model Transferability in a
Self-challenging Fisher Space", ECCV 2022.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from itm.scores.common.discriminant import discriminant, ledoit_wolf, moved, solved
from itm.scores.common.statistics import Statistics, membership
from itm.scores.evaluate import Definition, Sample, register

DECAY = 5.0  # of the published shrinkage with the largest eigenvalue
LEAST = 1e-10  # published shrinkage
ROUNDS = 3  # of its power iteration, two products each


@dataclass(frozen=True)
class SfdaOptions:
    """`reference` shrinks as published, which depends on the unit of the features and fails where there are few rows."""

    reference: bool = False


def sfda(sample: Sample, options: SfdaOptions) -> float:
    """Return the mean over rows of the second discriminant's posterior of the true class.

    The first discriminant is that of `lda`, with posteriors p. A row of class c is then mixed with o_c, the mean of the other
    classes' means: f <- q f + (1 - q) o_c, where q = softmax(p)_c. That is a softmax of probabilities, as published, so that of
    C classes no row is trusted by more than e / (e + C - 1). The second discriminant is learnt from the mixed rows, and shrunk
    by the same a.

    a is the Ledoit-Wolf intensity of the rows as they are, beside a target of tr(Sw) / r I, r being their rank. As published it
    is exp(-5 l), l the largest eigenvalue of Sw as three rounds of power iteration from the sums of its columns give it, and D
    stands for r. That changes with the unit of the features, and for N < D, where Sw is singular and a is nearly nothing, the
    value is 1 whatever the features are.
    """
    statistics = sample.statistics
    return sfda_posterior(sample, np.zeros_like(statistics.centres), options.reference)


def sfda_posterior(sample: Sample, shifts: np.ndarray, reference: bool) -> float:
    """Return what `sfda` does, of rows that each are shifted by what their class is, [C, r] in principal coordinates."""
    statistics = sample.statistics
    shrinkage = _published_shrinkage(sample) if reference else ledoit_wolf(statistics)
    dimensions = statistics.d if reference else statistics.rank
    labels, centres = statistics.labels, statistics.centres + shifts
    first = discriminant(statistics, shrinkage, dimensions, centres)
    trust = first.posterior(moved(statistics, shifts), labels, softened=True)
    others = (centres.sum(axis=0) - centres) / max(statistics.classes - 1, 1)
    mixed = _Mixed(statistics, trust, centres, others)
    scatter, means = mixed.moments()
    total = float(scatter.trace() + statistics.shares @ ((means - statistics.shares @ means) ** 2).sum(axis=1))
    second = solved(scatter, total, means, statistics.shares, shrinkage, dimensions)
    return float(second.posterior(mixed.rows(), labels).mean())


class _Mixed:
    """Rows f of class c as q f + (1 - q) o_c, each with its own trust q, in compact coordinates and never kept."""

    def __init__(self, statistics: Statistics, trust: np.ndarray, centres: np.ndarray, others: np.ndarray) -> None:
        self._statistics, self._trust = statistics, trust
        self._usual = np.bincount(statistics.labels, trust) / statistics.counts  # [C]
        self._means = statistics.compact(statistics.centres)
        self._away = statistics.compact(centres - others)
        self._homes = statistics.compact(others) + self._usual[:, None] * self._away

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the covariance [q, q] within classes, and the class means [C, q]."""
        statistics = self._statistics
        sums, scatter = np.zeros_like(self._homes), np.zeros((self._homes.shape[1],) * 2)
        for where, block in self._residuals():
            sums += membership(statistics.labels[where], statistics.classes) @ block
            scatter += block.T @ block
        means = sums / statistics.counts[:, None]
        scatter -= sums.T @ means
        scatter /= statistics.n
        return scatter, self._homes + means

    def rows(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield where some rows stand, and these rows."""
        for where, block in self._residuals():
            yield where, block + self._homes[self._statistics.labels[where]]

    def _residuals(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield rows less what one at its class's mean, trusted as is usual there, would be, so that little cancels in sums."""
        for where, block in self._statistics.blocks():
            own, trust = self._statistics.labels[where], self._trust[where]
            residuals = block - self._means[own]
            residuals *= trust[:, None]
            residuals += (trust - self._usual[own])[:, None] * self._away[own]
            yield where, residuals


def _published_shrinkage(sample: Sample) -> float:
    """Return max(exp(-5 l), 1e-10), l the length that Sw gives the last unit vector of a power iteration from Sw 1."""
    statistics = sample.statistics
    between = statistics.centres.T * np.sqrt(statistics.shares)
    sums = np.zeros(statistics.compact(between.T).shape[1])
    lengths = _sums_within_classes(sample)
    for where, block in statistics.blocks():
        sums += block.T @ lengths[where]
    x = statistics.compact(np.eye(statistics.rank)) @ sums / statistics.n  # Sw 1, in principal coordinates
    length = 0.0
    for _ in range(2 * ROUNDS):
        x = statistics.values * x - between @ (between.T @ x)
        length = float(np.linalg.norm(x))
        if not length > 0:
            break
        x /= length
    return max(float(np.exp(-DECAY * length)), LEAST)


def _sums_within_classes(sample: Sample) -> np.ndarray:
    """Return the sum [n] of each row's features less the mean of such sums in its class."""
    statistics = sample.statistics
    if statistics.n < statistics.d:
        sums = sample.features.sum(axis=1, dtype=np.float64)
    else:
        sums = np.concatenate([block.sum(axis=1) for _, block in statistics.blocks()])
    means = np.bincount(statistics.labels, sums) / statistics.counts
    return np.asarray(sums - means[statistics.labels])


SFDA = register(
    Definition(
        name="sfda",
        function=sfda,
        options=SfdaOptions(),
        sampling="subset",
        summary="LDA learnt again after each row has been mixed with the other classes, the more the less sure it was of it.",
        meaning="How sure a linear discriminant is of an image's true class after images that it was unsure of were moved "
        "towards the other classes; on the images it was learnt from.",
        lowest=0.0,
        highest=1.0,
        paper="Shao et al., ECCV 2022",
        cost="the shared eigendecomposition and another n d²",
    )
)
