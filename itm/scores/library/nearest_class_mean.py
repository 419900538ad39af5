"""Nearest class mean: how well the class with the nearest mean embedding is the right one, on held-out rows.

A label of multi-label data has two classes: the rows with it and those without.

Source: Mensink, Verbeek, Perronnin, Csurka, "Distance-Based Image Classification: Generalizing to New Classes at Near-Zero
Cost", IEEE TPAMI 2013; with the Euclidean distance, from which they start.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from itm.scores.base import CLASSES, ScoreInfo
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
        kinds=(*CLASSES, "multilabel"),
        meaning="How often an image is nearer to the mean of its class than to any other: what a model is good for without "
        "any training and without options.",
        paper="Mensink et al., TPAMI 2013",
        cost="n d C",
        version=2,
    )

    def predict(self, sample: Sample, folds: Sequence[Fold]) -> list[Predictions]:
        """Return the class with the nearest mean for each test row.

        Classes without training rows are never predicted. Of several at the same distance, the one with the most training rows
        is predicted. For labels, the probability is that of `_predict_labels`.
        """
        if sample.kind.name == "multilabel":
            return [_predict_labels(sample, fold) for fold in folds]
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


def _predict_labels(sample: Sample, fold: Fold) -> np.ndarray:
    """Return a / (a + b) [m, t], where a is the distance to the mean of the rows without a label, and b to that with it.

    It is above 0.5 where the rows with the label are nearer. Where all training rows have a label or none has, it is 1 or 0.
    """
    origin = sample.table[sample.rows[fold.train[0]]].astype(np.float64)
    indicators = sample.targets[fold.train].astype(np.float64)
    indicators = np.concatenate([1 - indicators, indicators], axis=1)  # [n, 2 t]
    counts = indicators.sum(axis=0)
    sums, total, start = np.zeros((len(counts), len(origin))), np.zeros(len(origin)), 0
    for rows, block in _blocks(sample, fold.train, origin):
        sums += indicators[start : start + len(rows)].T @ block
        total, start = total + block.sum(axis=0), start + len(rows)
    mean = total / len(fold.train)
    means = sums / np.maximum(counts, 1)[:, None] - mean
    squares = np.einsum("ij,ij->i", means, means)
    found = []
    for _, block in _blocks(sample, fold.test, origin + mean):
        distances = np.einsum("ij,ij->i", block, block)[:, None] + squares - 2 * block @ means.T
        without, with_label = np.split(np.sqrt(np.maximum(distances, 0.0)), 2, axis=1)
        both = without + with_label
        found.append(np.where(both > 0, without / np.where(both > 0, both, 1.0), 0.5))
    shares = counts[len(counts) // 2 :] / len(fold.train)
    return np.where((shares > 0) & (shares < 1), np.concatenate(found), shares)


def _blocks(sample: Sample, rows: np.ndarray, origin: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield a part of `rows` at a time, with their embeddings minus `origin` in float64."""
    size = max(1, BLOCK // len(origin))
    for start in range(0, len(rows), size):
        some = rows[start : start + size]
        block = sample.table[sample.rows[some]].astype(np.float64)
        block -= origin
        yield some, block
