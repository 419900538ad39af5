"""LFC: how well the inner products of the embeddings agree with which rows share a class.

Source: Deshpande, Achille, Ravichandran, Li, Zancato, Fowlkes, Bhotika, Soatto, Perona, "A linearized framework and a new
benchmark for model selection for fine-tuning", arXiv 2102.00084 (2021), label-feature correlation.
"""

import numpy as np

from itm.scores.base import Options, ScoreInfo, StatisticScore
from itm.scores.registry import register
from itm.scores.sample import Sample


@register
class Lfc(StatisticScore[Options]):
    """The correlation of F F^T, F centred, with the centred matrix that is 1 for two rows of a class and -1 otherwise."""

    info = ScoreInfo(
        name="lfc",
        summary="Correlation of the inner products of the embeddings with which images share a class.",
        meaning="1 if images are similar exactly if their classes are the same, 0 if similarity and class are unrelated.",
        paper="Deshpande et al., arXiv 2021",
        cost="the shared eigendecomposition",
        lowest=0.0,
        highest=1.0,
    )

    def value(self, sample: Sample) -> float:
        """Return the correlation, from 0 to 1.

        The second matrix is K = 2 Y Y^T - 1 1^T for one-hot Y. With H = I - 1 1^T / n, centred K is 2 (H Y) (H Y)^T; the factor
        2 cancels. Then

            <F F^T, H Y Y^T H> = |F^T Y|^2 = sum_c |n_c centre_c|^2,
            |F F^T|^2 = n^2 sum_k values_k^2,
            |H Y Y^T H|^2 = |Y^T H Y|^2, where Y^T H Y = n (diag(share) - share share^T).

        Only matrices of the smaller side are needed, for more and for fewer rows than features. Equal embeddings have the
        value 0.
        """
        statistics = sample.statistics
        if statistics.rank == 0:
            return 0.0
        share, values = statistics.shares, statistics.values / statistics.values[0]
        centres = statistics.centres / np.sqrt(statistics.values[0])
        labels = np.diag(share) - np.outer(share, share)
        together = float((share**2 * (centres**2).sum(axis=1)).sum())
        return min(together / float(np.linalg.norm(values) * np.linalg.norm(labels)), 1.0)  # rounding can exceed 1
