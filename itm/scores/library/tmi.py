"""TMI: the entropy of the embeddings within the classes, estimated from distances of nearest neighbours.

Source: Xu, Kang, "Fast and Accurate Transferability Measurement by Evaluating Intra-class Feature Variance", ICCV 2023; the
estimator: Kozachenko, Leonenko, "Sample Estimate of the Entropy of a Random Vector", 1987.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma

from itm.core.errors import ParamsError, ScoreError
from itm.scores.common.subset import turns
from itm.scores.evaluate import Definition, Sample, register


@dataclass(frozen=True)
class TmiOptions:
    """Which neighbour's distance counts, the smallest distance, and how many rows a class are used at most.

    The `floor` is in units of the features' spread. `reference` is the setting of the public code: features as they are, a
    floor of 1, all rows, and the sum over classes divided by their number once more.
    """

    neighbours: int = 3
    floor: float = 1e-6
    rows_a_class: int = 300
    seed: int = 0
    reference: bool = False

    def __post_init__(self) -> None:
        if self.neighbours < 1 or not self.floor > 0:
            raise ParamsError(f"tmi needs neighbours >= 1 and floor > 0, not {self.neighbours} and {self.floor}.")
        if self.rows_a_class <= self.neighbours or self.seed < 0:
            raise ParamsError(
                f"tmi needs rows_a_class > neighbours = {self.neighbours} and seed >= 0, "
                f"not {self.rows_a_class} and {self.seed}."
            )


def tmi(sample: Sample, options: TmiOptions) -> float:
    """Return sum_c share_c h_c, h_c the Kozachenko-Leonenko estimate of the entropy of class c's embeddings, in nats:

        h_c = digamma(n_c) - digamma(k) + r mean_i log(2 d_i / s),    k = min(3, n_c - 1),

    d_i the distance of row i to its k-th neighbour within the class, by the feature that differs most. A ball of that norm is a
    cube of side 2 d, so r is the number of dimensions. It is the rank: rows that reach fewer than D have a density there only,
    and with N < D the formula with D would count the width of the model. s is the root mean square spread of a feature over all
    rows, without which the unit of the features decides. Classes of one row are left out, the others' shares stretched.

    The score is higher for classes that spread more, so it falls as classes separate: that is its idea. It depends on the axes,
    as the norm does, and on the width: the same embeddings in a wider space differ in s and d.

    The floor is for rows that repeat. `reference` puts it at 1 in the features' own unit, which for small activations makes a
    function of D alone of the score.
    """
    from sklearn.neighbors import NearestNeighbors  # heavy, and needed by this score only

    turn = turns(sample.labels, options.seed)
    counts = np.bincount(sample.labels)
    used = np.flatnonzero(counts > 1)
    if not len(used):
        raise ScoreError(f"tmi needs a class with two rows, and each of {len(counts)} classes has one; add images.")
    spread, dimensions, floor, most = 1.0, sample.table.shape[1], 1.0, len(turn)
    if not options.reference:
        spread = float(np.sqrt(sample.statistics.total_variance / dimensions)) or 1.0
        dimensions, floor, most = sample.statistics.rank, options.floor, options.rows_a_class
    entropies = []
    for label in used:
        rows = sample.rows[(sample.labels == label) & (turn < most)]
        nearest = min(options.neighbours, len(rows) - 1)
        search = NearestNeighbors(n_neighbors=nearest, metric="chebyshev", algorithm="brute")
        found, _ = search.fit(sample.table[rows].astype(np.float64)).kneighbors()
        distance = np.maximum(found[:, -1] / spread, floor)
        entropies.append(digamma(len(rows)) - digamma(nearest) + dimensions * np.log(2 * distance).mean())
    weights = counts[used] / counts[used].sum()
    return float(weights @ entropies) / (len(counts) if options.reference else 1)


TMI = register(
    Definition(
        name="tmi",
        function=tmi,
        options=TmiOptions(),
        sampling="subset",
        summary="Entropy of the embeddings within the classes: how much images of one class differ.",
        meaning="How widely the embeddings of one class are spread, as a differential entropy in nats; the zero means nothing. "
        "By its authors' idea a model that keeps a class spread out transfers better; it falls as classes separate.",
        paper="Xu and Kang, ICCV 2023",
        cost="n d times the rows of a class",
    )
)
