"""kNN: accuracy of a weighted vote of the nearest embeddings, on held-out rows.

Source: Wu, Xiong, Yu, Lin, "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", CVPR 2018, sec. 3.4.
"""

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from itm.scores.base import ScoreInfo
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
    """A vote of the nearest training rows by cosine similarity; a vote weighs exp(similarity / temperature)."""

    options_type = KnnOptions
    info = ScoreInfo(
        name="knn",
        summary="Accuracy of a vote of the 20 nearest embeddings, on held-out images.",
        meaning="How often an image's nearest neighbours in embedding space have its class. Nothing is trained.",
        paper="Wu et al., CVPR 2018",
        cost="n² d",
    )

    def predict(self, sample: Sample, folds: Sequence[Fold]) -> list[Predictions]:
        """Return the class with the most votes for each test row."""
        features = sample.features.astype(np.float64)
        norms = np.linalg.norm(features, axis=1, keepdims=True)
        unit = features / np.where(norms > 0, norms, 1.0)
        one_hot = np.eye(sample.classes)[sample.labels]
        return [self._vote(unit, one_hot, fold) for fold in folds]

    def _vote(self, unit: np.ndarray, one_hot: np.ndarray, fold: Fold) -> np.ndarray:
        count = min(self.options.neighbours, len(fold.train))
        predicted = np.empty(len(fold.test), dtype=np.int64)
        for start in range(0, len(fold.test), CHUNK):
            rows = fold.test[start : start + CHUNK]
            similarity = unit[rows] @ unit[fold.train].T
            nearest = np.argpartition(-similarity, count - 1, axis=1)[:, :count]
            weight = np.exp((np.take_along_axis(similarity, nearest, axis=1) - 1.0) / self.options.temperature)
            votes = np.einsum("ik,ikc->ic", weight, one_hot[fold.train[nearest]])
            predicted[start : start + len(rows)] = votes.argmax(axis=1)
        return predicted
