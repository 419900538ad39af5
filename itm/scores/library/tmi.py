"""TMI: the entropy of the embeddings within the classes, estimated from nearest-neighbour distances.

Source: Xu, Kang, "Fast and Accurate Transferability Measurement by Evaluating Intra-class Feature Variance", ICCV 2023; the
estimator is from Kozachenko, Leonenko, "Sample Estimate of the Entropy of a Random Vector", 1987.
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from pydantic import Field, model_validator
from scipy.special import digamma

from itm.core.errors import ScoreError
from itm.scores.base import Options, ScoreInfo, StatisticScore
from itm.scores.common.principal import places_in_class
from itm.scores.registry import register
from itm.scores.sample import Sample


class TmiOptions(Options):
    """Which of the nearest `neighbours` is used, the smallest distance, and the maximum number of rows per class.

    The `floor` of distances is for rows that repeat, in units of the spread of the features.
    """

    renamed: ClassVar[Mapping[str, str]] = {"rows_a_class": "rows_per_class"}
    neighbours: int = Field(3, ge=1)
    floor: float = Field(1e-6, gt=0, allow_inf_nan=False)
    rows_per_class: int = 300
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _more_rows_than_neighbours(self) -> "TmiOptions":
        if self.rows_per_class <= self.neighbours:
            raise ValueError(f"rows_per_class is {self.rows_per_class}; it must be above neighbours, {self.neighbours}")
        return self


@register
class Tmi(StatisticScore[TmiOptions]):
    """The mean over classes, weighted by size, of the Kozachenko-Leonenko estimate of the entropy of their embeddings."""

    options_type = TmiOptions
    info = ScoreInfo(
        name="tmi",
        summary="Entropy of the embeddings within the classes: how much images of one class differ.",
        meaning="How widely the embeddings of one class are spread, as a differential entropy in nats; the zero means nothing. "
        "The authors assume that a model that keeps a class spread out transfers better; it falls as classes separate.",
        paper="Xu and Kang, ICCV 2023",
        cost="n d times the rows per class",
    )

    def value(self, sample: Sample) -> float:
        """Return sum_c share_c h_c in nats, where h_c is the estimate for class c:

            h_c = digamma(n_c) - digamma(k) + r mean_i log(2 d_i / s),    k = min(3, n_c - 1).

        d_i is the distance of row i to its k-th neighbour within the class, by the feature that differs most. A ball of that
        norm is a cube of side 2 d, so r is the number of dimensions. It is the rank: rows that do not span all d dimensions
        have a density in their span only, and with n < d the formula with d would measure the width of the model. s is the root
        mean square spread of a feature over all rows; without it the unit of the features would decide. Classes of one row are
        left out, and the shares of the others scaled up.

        The score is higher for classes that spread more, so it falls as classes separate: that is its idea. It depends on the
        axes, as the norm does, and on the width: the same embeddings in a wider space differ in s and d.
        """
        from sklearn.neighbors import NearestNeighbors  # slow to import, and only this score needs it

        options = self.options
        places = places_in_class(sample.labels, options.seed)
        counts = np.bincount(sample.labels)
        used = np.flatnonzero(counts > 1)
        if not len(used):
            raise ScoreError(f"tmi needs a class with two rows, and each of {len(counts)} classes has one; add images.")
        spread = float(np.sqrt(sample.statistics.total_variance / sample.table.shape[1])) or 1.0
        entropies = []
        for label in used:
            rows = sample.rows[(sample.labels == label) & (places < options.rows_per_class)]
            nearest = min(options.neighbours, len(rows) - 1)
            search = NearestNeighbors(n_neighbors=nearest, metric="chebyshev", algorithm="brute")
            found, _ = search.fit(sample.table[rows].astype(np.float64)).kneighbors()
            distance = np.maximum(found[:, -1] / spread, options.floor)
            entropies.append(digamma(len(rows)) - digamma(nearest) + sample.statistics.rank * np.log(2 * distance).mean())
        weights = counts[used] / counts[used].sum()
        return float(weights @ entropies)
