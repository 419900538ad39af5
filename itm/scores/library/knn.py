"""kNN: accuracy of a weighted vote of the nearest embeddings, on rows held out.

Source: Wu, Xiong, Yu, Lin, "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", CVPR 2018, sec. 3.4.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from itm.core.errors import ParamsError
from itm.scores.accuracy import Metric, check_metric
from itm.scores.evaluate import Definition, Sample, Split, register

CHUNK = 2048


@dataclass(frozen=True)
class KnnOptions:
    """How many neighbours vote, how fast their weight falls with distance, and by which `metric` the vote is judged."""

    neighbours: int = 20
    temperature: float = 0.07
    metric: Metric = "accuracy"

    def __post_init__(self) -> None:
        if self.neighbours < 1 or not self.temperature > 0:
            raise ParamsError(f"knn needs neighbours >= 1 and temperature > 0, not {self.neighbours} and {self.temperature}.")
        check_metric("knn", self.metric)


def knn(sample: Sample, splits: Sequence[Split], options: KnnOptions) -> list[np.ndarray]:
    """Return the classes predicted for each split's judged rows.

    The similarity is the cosine; a neighbour's vote weighs exp(similarity / temperature).
    """
    features = sample.features.astype(np.float64)
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    unit = features / np.where(norms > 0, norms, 1.0)
    targets = np.eye(sample.classes)[sample.labels]
    return [_voted(unit, targets, split, options) for split in splits]


def _voted(unit: np.ndarray, targets: np.ndarray, split: Split, options: KnnOptions) -> np.ndarray:
    count = min(options.neighbours, len(split.learn))
    voted = np.empty(len(split.judge), dtype=np.int64)
    for start in range(0, len(split.judge), CHUNK):
        rows = split.judge[start : start + CHUNK]
        similarity = unit[rows] @ unit[split.learn].T
        nearest = np.argpartition(-similarity, count - 1, axis=1)[:, :count]
        weight = np.exp((np.take_along_axis(similarity, nearest, axis=1) - 1.0) / options.temperature)
        votes = np.einsum("ik,ikc->ic", weight, targets[split.learn[nearest]])
        voted[start : start + len(rows)] = votes.argmax(axis=1)
    return voted


KNN = register(
    Definition(
        name="knn",
        function=knn,
        options=KnnOptions(),
        sampling="held_out",
        summary="Accuracy of a vote of the 20 nearest embeddings, on rows held out.",
        meaning="How often an image's nearest neighbours in embedding space have its class. Needs no training at all.",
        lowest=0.0,
        highest=1.0,
        paper="Wu et al., CVPR 2018",
        cost="n² d",
    )
)
