"""PARC: whether images that differ in class also differ in their embeddings, over all pairs of images.

Source: Bolya, Mittapalli, Hoffman, "Scalable Diverse Model Selection for Accessible Transfer Learning", NeurIPS 2021, sec. 4.
"""

from dataclasses import dataclass

import numpy as np

from itm.core.errors import ParamsError
from itm.scores.common.principal import principal
from itm.scores.common.subset import balanced
from itm.scores.evaluate import Definition, Sample, register

DIGITS = 12  # correlations that differ by less are equal: what is left is rounding
CONSTANT = 1e-9  # spread of a row's coordinates, each of which has unit variance, below which it has no pattern


@dataclass(frozen=True)
class ParcOptions:
    """How many principal `dimensions` are compared, and of how many `rows` at most.

    `reference` is the PCA of the authors' code, which is drawn at random, with its seed, and all rows.
    """

    dimensions: int = 32
    rows: int = 2000
    seed: int = 0
    reference: bool = False

    def __post_init__(self) -> None:
        if self.dimensions < 2 or self.rows < 5 or self.seed < 0:
            raise ParamsError(
                f"parc needs dimensions >= 2, rows >= 5 and seed >= 0, not {self.dimensions}, {self.rows} and {self.seed}."
            )


def parc(sample: Sample, options: ParcOptions) -> float:
    """Return 100 times the rank correlation, over pairs of rows, of 1 - r(z_i, z_j) with 1 - [y_i = y_j].

    z_i are row i's first 32 principal coordinates, fewer where the rank is less, each over its standard deviation, and r is
    Pearson's correlation of two such rows. It takes off a row's mean, so that it sees the signs of the axes, which a PCA leaves
    open and `principal` settles. One-hot labels of different classes are correlated by -1 / (C - 1) and equal ones by
    1, so that only whether y_i = y_j matters to ranks. Two values of which one is known by rank and the other is yes or no:
    Spearman's correlation is Pearson's of the ranks with the yes or no. Published code computes the correlations of the one-hot
    labels, where rounding turns ties into an order of pairs of classes, unless C is a power of two. Its PCA by one power
    iteration (`reference`) is far from the principal axes where eigenvalues fall slowly.

    A row whose coordinates are all alike, as every row's is in one dimension, has no correlation; it counts as 0. Where all
    pairs are alike, in their distance or in their classes, the score is 0.

    Pairs grow with n^2, 2000 rows have two million. Beyond that, `rows` rows are compared, drawn evenly over the classes: drawn
    by share, rows of rare classes would hardly meet one of their own. The axes are those of all rows.
    """
    from scipy.stats import rankdata  # heavy, and needed by this score only

    if options.reference:
        labels, coordinates = sample.labels, _reference(sample.features, options.dimensions)
    else:
        chosen = balanced(sample.labels, options.rows, options.seed)
        labels = sample.labels[chosen]
        coordinates = principal(sample.statistics, options.dimensions).rows(chosen)
        coordinates /= np.sqrt(sample.statistics.values[: options.dimensions])
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


def _reference(features: np.ndarray, dimensions: int) -> np.ndarray:
    """Return coordinates [n, k] by the authors' PCA, over their standard deviations."""
    from sklearn.decomposition import PCA  # heavy, and needed by this score only

    dimensions = min(dimensions, *features.shape)
    found = PCA(dimensions, svd_solver="randomized", iterated_power=1, random_state=1919).fit_transform(features)
    spread = found.std(axis=0)
    return np.asarray((found - found.mean(axis=0)) / np.where(spread > 0, spread, 1.0))


PARC = register(
    Definition(
        name="parc",
        function=parc,
        options=ParcOptions(),
        sampling="subset",
        summary="Rank correlation between how far apart two images' embeddings are and whether their classes differ.",
        meaning="Whether pairs of images of different classes have the more different embeddings: 0 is no relation, and 100 is "
        "never reached, since most pairs tie in their classes; ten in place of four is a clear difference.",
        lowest=-100.0,
        highest=100.0,
        paper="Bolya et al., NeurIPS 2021",
        cost="n² pairs of at most 2000 rows",
    )
)
