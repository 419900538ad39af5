"""Linear probe: held-out accuracy of a logistic regression on the frozen embeddings, the field's plainest baseline."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from itm.core.errors import ParamsError
from itm.scores.accuracy import Metric, check_metric
from itm.scores.evaluate import Definition, Sample, Split, register


@dataclass(frozen=True)
class LinearProbeOptions:
    """The inverse of the L2 penalty on standardised features, and by which `metric` the probe is judged."""

    inverse_penalty: float = 1.0
    metric: Metric = "accuracy"

    def __post_init__(self) -> None:
        if not self.inverse_penalty > 0:
            raise ParamsError(f"linear_probe needs inverse_penalty > 0, not {self.inverse_penalty}.")
        check_metric("linear_probe", self.metric)


def linear_probe(sample: Sample, splits: Sequence[Split], options: LinearProbeOptions) -> list[np.ndarray]:
    """Return the classes predicted for each split's judged rows."""
    features = sample.features.astype(np.float64)
    spread = features.std(axis=0)
    constant = spread <= 1e-12 * np.abs(features).max()
    features = (features - features.mean(axis=0)) / np.where(constant, 1.0, spread)
    features = _rotated(features)
    return [_predicted(features, sample.labels, split, options) for split in splits]


def _rotated(features: np.ndarray) -> np.ndarray:
    """Turn rows of width d > n into rows of width n at most, with the same inner products.

    Predictions and penalty depend on inner products alone, since the weights lie in the span of the rows, so the optimum is
    the same. F F^T = U S U^T gives the rows U sqrt(S).
    """
    if features.shape[1] <= features.shape[0]:
        return features
    values, vectors = scipy.linalg.eigh(features @ features.T)
    kept = values > values[-1] * 1e-12
    return np.asarray(vectors[:, kept] * np.sqrt(values[kept]))


def _predicted(features: np.ndarray, labels: np.ndarray, split: Split, options: LinearProbeOptions) -> np.ndarray:
    learnt = labels[split.learn]
    if (learnt == learnt[0]).all() or features.shape[1] == 0:
        return np.full(len(split.judge), np.bincount(learnt).argmax())
    from sklearn.linear_model import LogisticRegression  # heavy, and needed by this score only

    probe = LogisticRegression(C=options.inverse_penalty, tol=1e-4, max_iter=5000)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The number of unique classes is greater than 50%")
        probe.fit(features[split.learn], learnt)
    return np.asarray(probe.predict(features[split.judge]))


LINEAR_PROBE = register(
    Definition(
        name="linear_probe",
        function=linear_probe,
        options=LinearProbeOptions(),
        sampling="held_out",
        summary="Accuracy of a logistic regression on the embeddings, on rows held out.",
        meaning="What a linear head on the frozen model reaches. The plain baseline any score has to beat.",
        lowest=0.0,
        highest=1.0,
        paper="",
        cost="one logistic regression for each split",
    )
)
