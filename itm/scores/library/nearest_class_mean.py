"""Nearest class mean: accuracy of naming the class whose mean embedding is the nearest, on rows held out.

Source: Mensink, Verbeek, Perronnin, Csurka, "Distance-Based Image Classification: Generalizing to New Classes at Near-Zero
Cost",
IEEE TPAMI 2013; with the Euclidean distance, which they start from.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from itm.scores.accuracy import Metric, check_metric
from itm.scores.common.statistics import BLOCK, membership
from itm.scores.evaluate import Definition, Sample, Split, register


@dataclass(frozen=True)
class NearestClassMeanOptions:
    """By which `metric` the named classes are judged."""

    metric: Metric = "accuracy"

    def __post_init__(self) -> None:
        check_metric("nearest_class_mean", self.metric)


def nearest_class_mean(sample: Sample, splits: Sequence[Split], options: NearestClassMeanOptions) -> list[np.ndarray]:  # noqa: ARG001
    """Return the classes predicted for each split's judged rows.

    A row's class is argmin_c |f - m_c|, m_c being the mean of the class's rows among those learnt from. Classes none of
    whose rows are learnt from cannot be named, and of several at the same distance the one with the most rows is.
    """
    return [_named(sample, split) for split in splits]


def _named(sample: Sample, split: Split) -> np.ndarray:
    counts = np.bincount(sample.labels[split.learn], minlength=sample.classes)
    classes = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    # all distances are taken from a row, and then from the mean, so that features far from zero cost no digits
    origin = sample.table[sample.rows[split.learn[0]]].astype(np.float64)
    sums = np.zeros((sample.classes, len(origin)))
    for rows, block in _blocks(sample, split.learn, origin):
        sums += membership(sample.labels[rows], sample.classes) @ block
    mean = sums.sum(axis=0) / len(split.learn)
    centres = sums[classes] / counts[classes, None] - mean
    half_squares = np.einsum("ij,ij->i", centres, centres) / 2
    named = [
        classes[(block @ centres.T - half_squares).argmax(axis=1)] for _, block in _blocks(sample, split.judge, origin + mean)
    ]
    return np.concatenate(named)


def _blocks(sample: Sample, rows: np.ndarray, origin: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield some of `rows` at a time, and their embeddings less `origin` in float64."""
    size = max(1, BLOCK // len(origin))
    for start in range(0, len(rows), size):
        some = rows[start : start + size]
        block = sample.table[sample.rows[some]].astype(np.float64)
        block -= origin
        yield some, block


NEAREST_CLASS_MEAN = register(
    Definition(
        name="nearest_class_mean",
        function=nearest_class_mean,
        options=NearestClassMeanOptions(),
        sampling="held_out",
        summary="Accuracy of naming the class with the nearest mean, on rows held out.",
        meaning="How often an image lies nearer to the mean of its class than to any other's: what a model is good for without "
        "any training, with nothing to set.",
        lowest=0.0,
        highest=1.0,
        paper="Mensink et al., TPAMI 2013",
        cost="n d C",
    )
)
