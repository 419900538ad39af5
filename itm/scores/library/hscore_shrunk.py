"""Shrunk H-score: the H-score with a covariance that has been drawn towards a sphere as far as its noise asks for.

Source: Ibrahim, Ponomareva, Mazumder, "Newer is Not Always Better: Rethinking Transferability Metrics, Their Peculiarities,
Stability and Performance", ECML PKDD 2022; the shrinkage is that of Ledoit, Wolf, "A well-conditioned estimator for
large-dimensional covariance matrices", Journal of Multivariate Analysis 2004.
"""

from dataclasses import dataclass

import numpy as np

from itm.scores.common.discriminant import intensity
from itm.scores.common.statistics import Statistics
from itm.scores.evaluate import Definition, Sample, register

SPHERICAL = 1e-12  # of the mean eigenvalue's square: the variance of the eigenvalues below which they are all the same


@dataclass(frozen=True)
class HscoreShrunkOptions:
    """`reference` divides Cov G by n - 1 while Cov F is divided by n, as public code does."""

    reference: bool = False


def hscore_shrunk(sample: Sample, options: HscoreShrunkOptions) -> float:
    """Return tr(((1 - a) Cov F + a m I)^-1 (1 - a) Cov G), m being the mean eigenvalue of Cov F and a the shrinkage.

    In principal coordinates, with a class's centre c less the mean of all,

        H = sum_c share_c sum_k (1 - a) c_k^2 / ((1 - a) values_k + a m).

    The target is a sphere in the directions that the rows reach, with m = tr / r and not tr / D: a wider space without
    information must not change a score. Where the rows reach all D directions the two are the same. Where N <= D and the rows
    vary along more than about N / 2 directions, tr^2 / |Cov F|^2 of them, a is 1: that is taken for noise, and the score is 0.
    """
    statistics = sample.statistics
    if not statistics.rank:
        return 0.0
    kept = 1 - _shrinkage(statistics)
    shrunk = kept * statistics.values + (1 - kept) * statistics.values.mean()
    score = float(kept * (statistics.shares @ np.square(statistics.centres) @ (1 / shrunk)))
    return score * statistics.n / (statistics.n - 1) if options.reference else score


def _shrinkage(statistics: Statistics) -> float:
    """Return the Ledoit-Wolf intensity of the covariance of all rows; one that is a sphere already needs no shrinkage."""
    values = statistics.values / statistics.values.mean()
    if np.square(values - 1).sum() <= SPHERICAL * len(values):
        return 0.0
    return intensity(statistics.squares, float(np.square(statistics.values).sum()), statistics.rank)


HSCORE_SHRUNK = register(
    Definition(
        name="hscore_shrunk",
        function=hscore_shrunk,
        options=HscoreShrunkOptions(),
        sampling="subset",
        summary="The H-score with a covariance shrunk as far as the number of images asks for.",
        meaning="How many of the C - 1 directions that tell C classes apart the embeddings have, less where there are too few "
        "images to know, and 0 where nothing is known. Tells models apart with fewer images than dimensions too.",
        lowest=0.0,
        paper="Ibrahim et al., ECML PKDD 2022",
        cost="the shared eigendecomposition, n d",
    )
)
