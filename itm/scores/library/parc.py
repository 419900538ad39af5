"""PARC: whether images that differ in class also differ in their embeddings, over all pairs of images.

Source: Bolya, Mittapalli, Hoffman, "Scalable Diverse Model Selection for Accessible Transfer Learning", NeurIPS 2021, sec. 4.
"""

import numpy as np
from pydantic import Field

from itm.scores.base import Options, ScoreInfo, StatisticScore
from itm.scores.common.principal import balanced, principal
from itm.scores.registry import register
from itm.scores.sample import Sample

DIGITS = 12  # correlations that differ by less are equal: the rest is rounding
CONSTANT = 1e-9  # spread of a row's coordinates, each of unit variance, below which the row has no pattern


class ParcOptions(Options):
    """The number of principal `dimensions` that are compared, and of `rows` at most."""

    dimensions: int = Field(32, ge=2)
    rows: int = Field(2000, ge=5)
    seed: int = Field(0, ge=0)


@register
class Parc(StatisticScore[ParcOptions]):
    """100 times the rank correlation, over pairs of rows, of 1 - r(z_i, z_j) with 1 - [y_i = y_j]."""

    options_type = ParcOptions
    info = ScoreInfo(
        name="parc",
        summary="Rank correlation between the distance of two images' embeddings and whether their classes differ.",
        meaning="Whether pairs of images of different classes have the more different embeddings: 0 is no relation, and 100 is "
        "never reached, since most pairs tie in their classes; ten instead of four is a clear difference.",
        lowest=-100.0,
        highest=100.0,
        paper="Bolya et al., NeurIPS 2021",
        cost="n² pairs of at most 2000 rows",
    )

    def value(self, sample: Sample) -> float:
        """Return the correlation, from -100 to 100.

        z_i are the first 32 principal coordinates of row i, or all if the rank is lower, each divided by its standard
        deviation. r is Pearson's correlation of two such rows. It subtracts the mean of a row and so depends on the signs of
        the axes, which a PCA leaves open and `principal` fixes. One-hot labels of different classes have the correlation
        -1 / (C - 1) and equal ones 1, so for ranks only y_i = y_j matters. With one of two variables known by rank and the
        other yes or no, Spearman's correlation is Pearson's of the ranks with the yes or no.

        A row with equal coordinates, as every row in one dimension, has no correlation; it counts as 0. If all pairs are equal
        in distance or in class, the score is 0.

        The number of pairs grows with n^2: 2000 rows have two million. Beyond that, `rows` rows are compared, the same number
        of every class: in a random part the rows of rare classes would hardly meet one of their own. The axes are those of all
        rows.
        """
        from scipy.stats import rankdata  # slow to import, and only this score needs it

        options, statistics = self.options, sample.statistics
        chosen = balanced(sample.labels, options.rows, options.seed)
        labels = sample.labels[chosen]
        coordinates = principal(statistics, options.dimensions).rows(chosen)
        coordinates /= np.sqrt(statistics.values[: options.dimensions])
        pairs = np.triu(np.ones((len(labels), len(labels)), dtype=bool), 1)
        distances = 1.0 - _correlations(coordinates)[pairs]
        differ = (labels[:, None] != labels)[pairs]
        ranks = rankdata(distances)
        if ranks.min() == ranks.max() or differ.min() == differ.max():
            return 0.0
        return float(100 * np.corrcoef(ranks, differ)[0, 1])


def _correlations(rows: np.ndarray) -> np.ndarray:
    """Return Pearson's correlation [n, n] of every row [n, k] with every other."""
    if rows.shape[1] == 0:
        return np.zeros((len(rows), len(rows)))
    rows = rows - rows.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    lengths[lengths < CONSTANT * np.sqrt(rows.shape[1])] = np.inf
    rows /= lengths
    return np.asarray(np.round(rows @ rows.T, DIGITS))
