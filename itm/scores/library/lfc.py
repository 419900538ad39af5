"""LFC: how well the embeddings' inner products follow who shares a class with whom.

Source: Deshpande, Achille, Ravichandran, Li, Zancato, Fowlkes, Bhotika, Soatto, Perona, "A linearized framework and a new
benchmark for model selection for fine-tuning", arXiv 2102.00084 (2021), label-feature correlation.
"""

from dataclasses import dataclass

import numpy as np

from itm.scores.evaluate import Definition, Sample, register


@dataclass(frozen=True)
class LfcOptions:
    """LFC has none."""


def lfc(sample: Sample, options: LfcOptions) -> float:  # noqa: ARG001
    """Return the correlation of F F^T, F centred, with the centred matrix K that is 1 for two rows of a class and -1 otherwise.

    K = 2 Y Y^T - 1 1^T for one-hot Y, so that with H = I - 1 1^T / n centred K is 2 (H Y) (H Y)^T, whose factor 2 cancels. Then

        <F F^T, H Y Y^T H> = |F^T Y|^2 = sum_c |n_c centre_c|^2,
        |F F^T|^2 = n^2 sum_k values_k^2,
        |H Y Y^T H|^2 = |Y^T H Y|^2, where Y^T H Y = n (diag(share) - share share^T).

    All of it is seen from either side of F, so fewer rows than features change nothing. Embeddings that are all alike follow
    nothing: 0.
    """
    statistics = sample.statistics
    if statistics.rank == 0:
        return 0.0
    share, values = statistics.shares, statistics.values / statistics.values[0]
    centres = statistics.centres / np.sqrt(statistics.values[0])
    labels = np.diag(share) - np.outer(share, share)
    together = float((share**2 * (centres**2).sum(axis=1)).sum())
    return min(together / float(np.linalg.norm(values) * np.linalg.norm(labels)), 1.0)  # rounding can pass it


LFC = register(
    Definition(
        name="lfc",
        function=lfc,
        options=LfcOptions(),
        sampling="subset",
        summary="Correlation of the embeddings' inner products with who shares a class with whom.",
        meaning="1 where images are alike exactly if their classes are the same, 0 where the one says nothing of the other.",
        paper="Deshpande et al., arXiv 2021",
        cost="the shared eigendecomposition",
        lowest=0.0,
        highest=1.0,
    )
)
