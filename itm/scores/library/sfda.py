"""SFDA: a discriminant that is fitted again after uncertain rows have been mixed with the other classes.

Source: Shao, Zhao, Ge, Zhang, Yang, Wang, Shan, Luo, "Not All Models Are Equal: Predicting Model Transferability in a
Self-challenging Fisher Space", ECCV 2022.
"""

from collections.abc import Iterator

import numpy as np

from itm.scores.base import Options, ScoreInfo, StatisticScore
from itm.scores.common.discriminant import discriminant, ledoit_wolf, moved, solved
from itm.scores.common.statistics import Statistics, membership
from itm.scores.registry import register
from itm.scores.sample import Sample


@register
class Sfda(StatisticScore[Options]):
    """The mean over rows of the posterior of the true class under the second discriminant."""

    info = ScoreInfo(
        name="sfda",
        summary="LDA fitted twice; before the second fit, uncertain rows are mixed with the other classes.",
        meaning="How sure a linear discriminant is of an image's true class after images that it was unsure of were moved "
        "towards the other classes; for the images it is fitted to.",
        lowest=0.0,
        highest=1.0,
        paper="Shao et al., ECCV 2022",
        cost="the shared eigendecomposition and another n d²",
    )

    def value(self, sample: Sample) -> float:
        """Return the mean posterior.

        The first discriminant is that of `lda`, with posteriors p. A row of class c is then mixed with o_c, the mean of the
        means of the other classes: f <- q f + (1 - q) o_c, where q = softmax(p)_c. As published this is a softmax of
        probabilities: with C classes q is at most e / (e + C - 1). The second discriminant is fitted to the mixed rows and
        shrunk by the same a.

        a is the Ledoit-Wolf intensity of the rows before mixing, with the target tr(Sw) / r I, where r is their rank. As
        published it is exp(-5 l), where l is the largest eigenvalue of Sw after three rounds of power iteration, and d stands
        for r. That depends on the unit of the features. For n < d, where Sw is singular and a nearly 0, it makes the value 1
        whatever the features are.
        """
        return sfda_posterior(sample.statistics, np.zeros_like(sample.statistics.centres))


def sfda_posterior(statistics: Statistics, shifts: np.ndarray) -> float:
    """Return SFDA of rows that are shifted with their class, [C, r] in principal coordinates."""
    shrinkage = ledoit_wolf(statistics)
    labels, centres = statistics.labels, statistics.centres + shifts
    first = discriminant(statistics, shrinkage, statistics.rank, centres)
    trust = first.posterior(moved(statistics, shifts), labels, softened=True)
    others = (centres.sum(axis=0) - centres) / max(statistics.classes - 1, 1)
    mixed = _MixedRows(statistics, trust, centres, others)
    scatter, means = mixed.moments()
    total = float(scatter.trace() + statistics.shares @ ((means - statistics.shares @ means) ** 2).sum(axis=1))
    second = solved(scatter, total, means, statistics.shares, shrinkage, statistics.rank)
    return float(second.posterior(mixed.rows(), labels).mean())


class _MixedRows:
    """Rows q f + (1 - q) o_c for rows f of class c, each with its own trust q, in compact coordinates; they are not stored."""

    def __init__(self, statistics: Statistics, trust: np.ndarray, centres: np.ndarray, others: np.ndarray) -> None:
        self._statistics, self._trust = statistics, trust
        self._usual = np.bincount(statistics.labels, trust) / statistics.counts  # the mean trust [C] of each class
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
        """Yield the positions and values of rows."""
        for where, block in self._residuals():
            yield where, block + self._homes[self._statistics.labels[where]]

    def _residuals(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield rows relative to the mixed class mean with the mean trust of the class: little cancels in sums of these."""
        for where, block in self._statistics.blocks():
            own, trust = self._statistics.labels[where], self._trust[where]
            residuals = block - self._means[own]
            residuals *= trust[:, None]
            residuals += (trust - self._usual[own])[:, None] * self._away[own]
            yield where, residuals
