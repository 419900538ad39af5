"""KITE: how alike the embeddings are to the classes, against how alike they are to embeddings that know nothing.

Source: Guo, "KITE: A Kernel-based Improved Transferability Estimation Method", arXiv 2405.01603, 2024. No code was published.
"""

from dataclasses import dataclass

import numpy as np

from itm.errors import ScoreError
from itm.scores._statistics import Statistics
from itm.scores.contract import Definition, Sample, register


@dataclass(frozen=True)
class KiteOptions:
    """KITE has none."""


def kite(sample: Sample, options: KiteOptions) -> float:  # noqa: ARG001
    """Return CKA(K_F, K_Y) / CKA(K_F, K_R) of linear kernels, R being what an untrained network makes of the same images.

    CKA(K, L) = <HKH, HLH> / (|HKH| |HLH|) with H = I - 11^T / n and Frobenius norms. With F centred no kernel [n, n] is needed:
    <H F F^T H, H R R^T H> = |F^T R|^2, and |H F F^T H| = |F^T F| = n |values|. For one-hot classes, with a class's share p and
    centre c less the mean of all,

        |F^T Y|^2 = n^2 sum p^2 |c|^2,    |H Y Y^T H|^2 = n^2 (sum p^2 - 2 sum p^3 + (sum p^2)^2).

    R is `untrained` of the sample's source. Where there is none, its kernel is that of ever more random features, drawn anew
    for each image, which tends to a multiple of I. HIH is H, whose norm is (n - 1)^(1/2), so that

        CKA(K_F, I) = tr(HKH) / (|HKH| (n - 1)^(1/2)) = sum_k values_k / (|values| (n - 1)^(1/2)),

    which says over how many directions F's variance is spread. n is the same for all models of a data set, but not for all data
    sets. Embeddings that are the same for all images are alike to nothing, and score 0.
    """
    statistics = sample.statistics
    if not statistics.rank:
        return 0.0
    shares, length = statistics.shares, float(np.linalg.norm(statistics.values))
    of_classes = np.sqrt((shares**2).sum() - 2 * (shares**3).sum() + (shares**2).sum() ** 2)
    target = float(shares**2 @ np.square(statistics.centres).sum(axis=1) / of_classes) / length
    if sample.source.untrained is None:
        return target * length * float(np.sqrt(statistics.n - 1) / statistics.values.sum())
    return target * length * statistics.n / _likeness(statistics, sample.source.untrained, sample.rows)


def _likeness(statistics: Statistics, untrained: np.ndarray, rows: np.ndarray) -> float:
    """Return |F^T R|^2 / |R^T R|, R being `rows` of `untrained` less their mean.

    The first row is subtracted instead of the mean, F^T 1 being 0; so equal rows are exactly 0, and the mean far from 0 costs
    no digits.
    """
    first = untrained[rows[0]].astype(np.float64)
    sums, gram, cross = np.zeros(len(first)), np.zeros((len(first), len(first))), np.zeros(())
    for where, block in statistics.blocks():
        other = untrained[rows[where]].astype(np.float64) - first
        sums += other.sum(axis=0)
        gram += other.T @ other
        cross = cross + block.T @ other
    gram -= np.outer(sums, sums) / statistics.n
    length, alike = float(np.linalg.norm(gram)), float(np.square(cross).sum())
    if not length > 0:
        raise ScoreError("kite: the untrained network's embeddings are the same for all images; give those of another network.")
    if not alike > 0:
        raise ScoreError("kite: nothing in the embeddings is like the untrained network's; give those of a wider network.")
    return alike / length


KITE = register(
    Definition(
        name="kite",
        function=kite,
        options=KiteOptions(),
        sampling="subset",
        uses=("untrained",),
        summary="Likeness of the embeddings to the classes, over their likeness to those of an untrained network.",
        meaning="How many times more alike the embeddings are to the classes than to random features. Without an untrained "
        "network's embeddings, these are infinitely many that know nothing of the images, and the value grows with the square "
        "root of the number of images: compare models on the same images only.",
        lowest=0.0,
        paper="Guo, arXiv 2024",
        cost="the shared eigendecomposition",
    )
)
