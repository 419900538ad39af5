"""H-score: how much of the embeddings' variance lies between the classes, each direction counted in units of its own.

Source: Bao, Li, Huang, Zhang, Zheng, Zamir, Guibas, "An Information-Theoretic Approach to Transferability in Task Transfer
Learning", ICIP 2019.
"""

from dataclasses import dataclass

import numpy as np

from itm.scores.evaluate import Definition, Sample, register


@dataclass(frozen=True)
class HscoreOptions:
    """H-score has none."""


def hscore(sample: Sample, options: HscoreOptions) -> float:  # noqa: ARG001
    """Return tr(pinv(Cov F) Cov G), where a row of G is the mean of the class of F's row.

    In principal coordinates Cov F is diagonal, with the eigenvalues `values`, and Cov G is the sum over classes of
    share c c^T, c being a class's centre less the mean of all:

        H = sum_c share_c sum_k c_k^2 / values_k.

    G is a projection of the columns of F onto those of the labels, so that H sums squared cosines between two subspaces, and
    H <= min(C - 1, rank). That holds only if the pseudo-inverse leaves out what the rows do not reach. Public code keeps
    directions down to 1e-15 of the largest, which are rounding where N < D or features repeat, and exceeds the bound.

    For N <= D the rows usually reach N - 1 directions, and then every model scores C - 1: `hscore_shrunk` tells them apart.
    """
    statistics = sample.statistics
    return float(statistics.shares @ np.square(statistics.centres) @ (1 / statistics.values))


HSCORE = register(
    Definition(
        name="hscore",
        function=hscore,
        options=HscoreOptions(),
        sampling="subset",
        summary="Variance between the classes over variance in all, summed over the directions of the embeddings.",
        meaning="How many of the C - 1 directions that tell C classes apart the embeddings have: 0 is none, C - 1 is all. "
        "With fewer images than dimensions every model reaches C - 1.",
        lowest=0.0,
        paper="Bao et al., ICIP 2019",
        cost="the shared eigendecomposition",
    )
)
