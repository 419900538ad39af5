"""LDA: the mean posterior of the true class under a linear discriminant, learnt from the rows that it judges.

Source: Gholami, Akbari, Wang, Kamranian, Zhang, "ETran: Energy-Based Transferability Estimation", ICCV 2023 (its S_cls).
"""

from dataclasses import dataclass

import numpy as np

from itm.scores.common.discriminant import discriminant, ledoit_wolf, moved, nearest_mean
from itm.scores.common.statistics import Statistics
from itm.scores.evaluate import Definition, Sample, register


@dataclass(frozen=True)
class LdaOptions:
    """`reference` is what the public code computes, which is nearest class mean."""

    reference: bool = False


def lda(sample: Sample, options: LdaOptions) -> float:
    """Return the mean over rows of p(y_i | f_i) = softmax_c(w_c . f_i - w_c . m_c / 2 + log share_c)_{y_i}.

    w_c = S^-1 m_c with m_c the class's mean, S = (1 - a) Sw + a tr(Sw) / r I, Sw the covariance within classes, and a its
    Ledoit-Wolf intensity. That is the classifier of the generalised eigenproblem of the covariances between and within classes:
    its eigenvectors U have U U^T = S^-1. The unit of the features does not matter, and fewer rows than features only mean a
    larger a. r is the rank of the rows and not D, since a wider space that says nothing more must not change a score.

    The public code takes eigh of S^-1 Sb, which is not symmetric; what it returns is orthonormal, U U^T = I, and with it w_c =
    m_c: every row goes to the nearest class mean, in whatever unit the features have.
    """
    statistics = sample.statistics
    unmoved = np.zeros_like(statistics.centres)
    if options.reference:
        return nearest_mean_posterior(statistics, unmoved)
    return lda_posterior(statistics, unmoved)


def lda_posterior(statistics: Statistics, shifts: np.ndarray) -> float:
    """Return what `lda` does, of rows that each are shifted by what their class is, [C, r] in principal coordinates."""
    model = discriminant(statistics, ledoit_wolf(statistics), statistics.rank, statistics.centres + shifts)
    return float(model.posterior(moved(statistics, shifts), statistics.labels).mean())


def nearest_mean_posterior(statistics: Statistics, shifts: np.ndarray) -> float:
    """Return what the public code does, of rows that each are shifted by what their class is, [C, r]."""
    model = nearest_mean(statistics.compact(statistics.centres + shifts), statistics.shares)
    return float(model.posterior(moved(statistics, shifts), statistics.labels).mean())


LDA = register(
    Definition(
        name="lda",
        function=lda,
        options=LdaOptions(),
        sampling="subset",
        summary="Mean probability that a linear discriminant gives the true class; ETran's classification term.",
        meaning="How sure a linear discriminant is of an image's true class, on the images it was learnt from, so that it is "
        "flattering where images are few.",
        lowest=0.0,
        highest=1.0,
        paper="Gholami et al., ICCV 2023",
        cost="the shared eigendecomposition",
    )
)
