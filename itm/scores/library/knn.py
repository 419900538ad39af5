"""kNN: a weighted vote, or the weighted mean for labels and real-valued targets, of the nearest embeddings, on held-out rows.

Source: Wu, Xiong, Yu, Lin, "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", CVPR 2018, sec. 3.4.
"""

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from itm.scores.base import CLASSES, ScoreInfo
from itm.scores.folds import Fold
from itm.scores.probe import Predictions, ProbeOptions, ProbeScore
from itm.scores.registry import register
from itm.scores.sample import Sample

CHUNK = 2048  # test rows whose similarities are held at once


class KnnOptions(ProbeOptions):
    """The number of `neighbours` that vote, and the `temperature`: the lower, the faster weights fall with distance."""

    neighbours: int = Field(20, ge=1)
    temperature: float = Field(0.07, gt=0, allow_inf_nan=False)


@register
class Knn(ProbeScore[KnnOptions]):
    """The weighted mean target of the nearest training rows by cosine similarity; a weight is exp(similarity / temperature).

    Targets are one-hot for classes, whose weighted mean is a vote, multi-hot for labels, whose weighted mean is a probability,
    and the numbers themselves for regression.
    """

    options_type = KnnOptions
    info = ScoreInfo(
        name="knn",
        summary="How well the 20 nearest embeddings predict the target, on held-out images.",
        meaning="Whether an image's nearest neighbours in embedding space have its class or value. Nothing is trained.",
        paper="Wu et al., CVPR 2018",
        cost="n² d",
        kinds=(*CLASSES, "multilabel", "regression"),
        version=2,
    )

    def predict(self, sample: Sample, folds: Sequence[Fold]) -> list[Predictions]:
        """Return the class with the most votes, or the weighted mean, for each test row."""
        features = sample.features.astype(np.float64)
        norms = np.linalg.norm(features, axis=1, keepdims=True)
        unit = features / np.where(norms > 0, norms, 1.0)
        if sample.kind.name not in CLASSES:
            targets = np.column_stack([sample.targets, np.ones(len(unit))])  # the last sum is that of the weights
            means = [sums[:, :-1] / sums[:, -1:] for sums in (self._sum(unit, targets, fold) for fold in folds)]
            return [mean.reshape(len(mean), *sample.targets.shape[1:]) for mean in means]
        one_hot = np.eye(sample.classes)[sample.labels]
        return [self._sum(unit, one_hot, fold).argmax(axis=1) for fold in folds]

    def _sum(self, unit: np.ndarray, targets: np.ndarray, fold: Fold) -> np.ndarray:
        """Return the weighted sum [m, k] of the targets [n, k] of the neighbours of each test row; the largest weight is 1."""
        count = min(self.options.neighbours, len(fold.train))
        sums = np.empty((len(fold.test), targets.shape[1]))
        for start in range(0, len(fold.test), CHUNK):
            rows = fold.test[start : start + CHUNK]
            similarity = unit[rows] @ unit[fold.train].T
            nearest = np.argpartition(-similarity, count - 1, axis=1)[:, :count]
            near = np.take_along_axis(similarity, nearest, axis=1)
            weight = np.exp((near - near.max(axis=1, keepdims=True)) / self.options.temperature)
            sums[start : start + len(rows)] = np.einsum("ik,ikc->ic", weight, targets[fold.train[nearest]])
        return sums
