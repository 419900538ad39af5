"""Nearest class mean: accuracy of predicting the class with the nearest mean embedding, on held-out rows.

Source: Mensink, Verbeek, Perronnin, Csurka, "Distance-Based Image Classification: Generalizing to New Classes at Near-Zero
Cost", IEEE TPAMI 2013; with the Euclidean distance, from which they start.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from itm.scores.base import ScoreInfo
from itm.scores.common.statistics import BLOCK, membership
from itm.scores.folds import Fold
from itm.scores.probe import Predictions, ProbeOptions, ProbeScore
from itm.scores.registry import register
from itm.scores.sample import Sample


@register
class NearestClassMean(ProbeScore[ProbeOptions]):
    """The class argmin_c |f - m_c|, where m_c is the mean of the training rows of class c."""

    info = ScoreInfo(
        name="nearest_class_mean",
        summary="Accuracy of predicting the class with the nearest mean, on held-out images.",
        meaning="How often an image is nearer to the mean of its class than to any other: what a model is good for without "
        "any training and without options.",
        paper="Mensink et al., TPAMI 2013",
        cost="n d C",
        version=2,
    )

    def predict(self, sample: Sample, folds: Sequence[Fold]) -> list[Predictions]:
        """Return the class with the nearest mean for each test row.

        Classes without training rows are never predicted. Of several at the same distance, the one with the most training rows
        is predicted.
        """
        return [_predict(sample, fold) for fold in folds]


def _predict(sample: Sample, fold: Fold) -> np.ndarray:
    counts = np.bincount(sample.labels[fold.train], minlength=sample.classes)
    classes = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    # Distances are from one row, and then from the mean: features far from zero cost no digits.
    origin = sample.table[sample.rows[fold.train[0]]].astype(np.float64)
    sums = np.zeros((sample.classes, len(origin)))
    for rows, block in _blocks(sample, fold.train, origin):
        sums += membership(sample.labels[rows], sample.classes) @ block
    mean = sums.sum(axis=0) / len(fold.train)
    centres = sums[classes] / counts[classes, None] - mean
    half_squares = np.einsum("ij,ij->i", centres, centres) / 2
    predicted = [
        classes[(block @ centres.T - half_squares).argmax(axis=1)] for _, block in _blocks(sample, fold.test, origin + mean)
    ]
    return np.concatenate(predicted)


def _blocks(sample: Sample, rows: np.ndarray, origin: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield a part of `rows` at a time, with their embeddings minus `origin` in float64."""
    size = max(1, BLOCK // len(origin))
    for start in range(0, len(rows), size):
        some = rows[start : start + size]
        block = sample.table[sample.rows[some]].astype(np.float64)
        block -= origin
        yield some, block
