"""H-score: how much of the variance of the embeddings lies between the classes, with unit variance along every direction.

Sources: Bao, Li, Huang, Zhang, Zheng, Zamir, Guibas, "An Information-Theoretic Approach to Transferability in Task Transfer
Learning", ICIP 2019. Shrunk H-score: Ibrahim, Ponomareva, Mazumder, "Newer is Not Always Better: Rethinking Transferability
Metrics, Their Peculiarities, Stability and Performance", ECML PKDD 2022; its shrinkage is from Ledoit, Wolf, "A
well-conditioned estimator for large-dimensional covariance matrices", Journal of Multivariate Analysis 2004.
"""

import numpy as np

from itm.scores.base import Options, ScoreInfo, StatisticScore
from itm.scores.common.discriminant import intensity
from itm.scores.common.statistics import Statistics
from itm.scores.registry import register
from itm.scores.sample import Sample

SPHERICAL = 1e-12  # variance of the eigenvalues, relative to their squared mean, below which they count as equal


@register
class Hscore(StatisticScore[Options]):
    """tr(pinv(Cov F) Cov G), where a row of G is the class mean of the same row of F."""

    info = ScoreInfo(
        name="hscore",
        summary="Variance between the classes over total variance, summed over the directions of the embeddings.",
        meaning="How many of the C - 1 directions that separate C classes the embeddings have: 0 is none, C - 1 is all. "
        "With fewer images than dimensions every model reaches C - 1.",
        lowest=0.0,
        paper="Bao et al., ICIP 2019",
        cost="the shared eigendecomposition",
    )

    def value(self, sample: Sample) -> float:
        """Return the H-score, from 0 to min(C - 1, rank).

        In principal coordinates Cov F is diagonal with the eigenvalues `values`. Cov G is the sum over classes of share c c^T,
        where c is the class mean minus the mean of all rows. Hence

            H = sum_c share_c sum_k c_k^2 / values_k.

        G is the projection of the columns of F onto those of the one-hot labels, so H is a sum of squared cosines between two
        subspaces; this gives the bound. It holds only if the pseudo-inverse leaves out directions in which no row lies. Public
        code keeps directions down to 1e-15 of the largest eigenvalue. Where n < d or features repeat these are rounding errors,
        and the value exceeds the bound.

        For n <= d the rank is usually n - 1, and every model scores C - 1: `hscore_shrunk` still distinguishes models.
        """
        statistics = sample.statistics
        return float(statistics.shares @ np.square(statistics.centres) @ (1 / statistics.values))


@register
class HscoreShrunk(StatisticScore[Options]):
    """tr(((1 - a) Cov F + a m I)^-1 (1 - a) Cov G) with the Ledoit-Wolf intensity a and the mean eigenvalue m of Cov F."""

    info = ScoreInfo(
        name="hscore_shrunk",
        summary="The H-score with a covariance that is shrunk as far as the number of images requires.",
        meaning="How many of the C - 1 directions that separate C classes the embeddings have, less where there are too few "
        "images to know, and 0 where nothing is known. Distinguishes models with fewer images than dimensions too.",
        lowest=0.0,
        paper="Ibrahim et al., ECML PKDD 2022",
        cost="the shared eigendecomposition, n d",
    )

    def value(self, sample: Sample) -> float:
        """Return the shrunk H-score.

        In principal coordinates, with class means c minus the mean of all rows,

            H = sum_c share_c sum_k (1 - a) c_k^2 / ((1 - a) values_k + a m).

        The target is a sphere in the directions in which rows lie: m = tr / r and not tr / d, since a wider space without
        information must not change a score. With full rank both are equal. If n <= d and the rows vary along more than about
        n / 2 directions (tr^2 / |Cov F|^2 of them), a is 1: all of the covariance counts as noise, and the score is 0.
        """
        statistics = sample.statistics
        if not statistics.rank:
            return 0.0
        kept = 1 - _shrinkage(statistics)
        shrunk = kept * statistics.values + (1 - kept) * statistics.values.mean()
        return float(kept * (statistics.shares @ np.square(statistics.centres) @ (1 / shrunk)))


def _shrinkage(statistics: Statistics) -> float:
    """Return the Ledoit-Wolf intensity of the covariance of all rows; a sphere needs no shrinkage."""
    values = statistics.values / statistics.values.mean()
    if np.square(values - 1).sum() <= SPHERICAL * len(values):
        return 0.0
    return intensity(statistics.squares, float(np.square(statistics.values).sum()), statistics.rank)
