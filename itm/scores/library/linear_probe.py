"""Linear probe: logistic or ridge regression on the frozen embeddings, on held-out rows; the usual baseline of the field."""

import warnings
from collections.abc import Sequence

import numpy as np
import scipy.linalg
from pydantic import Field

from itm.scores.base import CLASSES, ScoreInfo
from itm.scores.folds import Fold
from itm.scores.probe import Predictions, ProbeOptions, ProbeScore
from itm.scores.registry import register
from itm.scores.sample import Sample

PENALTIES = np.logspace(-4, 4, 17)  # of a ridge regression, per training row


class LinearProbeOptions(ProbeOptions):
    """`inverse_penalty` is the inverse of the L2 penalty of the logistic regression; a ridge regression chooses its own."""

    inverse_penalty: float = Field(1.0, gt=0, allow_inf_nan=False)


@register
class LinearProbe(ProbeScore[LinearProbeOptions]):
    """Logistic regression on standardised features; for real-valued targets ridge regression."""

    options_type = LinearProbeOptions
    info = ScoreInfo(
        name="linear_probe",
        summary="How well a linear model of the embeddings predicts the target, on held-out images.",
        meaning="What a linear head on the frozen model reaches: the plain baseline that any score has to beat.",
        paper="",
        cost="one logistic or ridge regression per fold",
        kinds=(*CLASSES, "regression"),
        version=2,
    )

    def predict(self, sample: Sample, folds: Sequence[Fold]) -> list[Predictions]:
        """Return the most probable class or the number of each test row; features are standardised over all rows."""
        features = sample.features.astype(np.float64)
        spread = features.std(axis=0)
        constant = spread <= 1e-12 * np.abs(features).max()
        features = _narrow((features - features.mean(axis=0)) / np.where(constant, 1.0, spread))
        if sample.kind.name == "regression":
            return [_predict_numbers(features, sample.targets, fold) for fold in folds]
        return [self._predict(features, sample.labels, fold) for fold in folds]

    def _predict(self, features: np.ndarray, labels: np.ndarray, fold: Fold) -> np.ndarray:
        trained = labels[fold.train]
        if (trained == trained[0]).all() or features.shape[1] == 0:
            return np.full(len(fold.test), np.bincount(trained).argmax())
        from sklearn.linear_model import LogisticRegression  # slow to import, and only this score needs it

        probe = LogisticRegression(C=self.options.inverse_penalty, tol=1e-4, max_iter=5000)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The number of unique classes is greater than 50%")
            probe.fit(features[fold.train], trained)
        return np.asarray(probe.predict(features[fold.test]))


def _predict_numbers(features: np.ndarray, targets: np.ndarray, fold: Fold) -> np.ndarray:
    """Return predictions by ridge regression with the penalty of the least leave-one-out error on the training rows."""
    if features.shape[1] == 0:
        return np.full(len(fold.test), targets[fold.train].mean())
    from sklearn.linear_model import RidgeCV  # slow to import, and only this score needs it

    probe = RidgeCV(alphas=len(fold.train) * PENALTIES).fit(features[fold.train], targets[fold.train])
    return np.asarray(probe.predict(features[fold.test]))


def _narrow(features: np.ndarray) -> np.ndarray:
    """Turn rows of width d > n into rows of width n at most with the same inner products.

    Predictions and penalty depend on inner products alone, because the weights lie in the span of the rows. So the optimum is
    the same. F F^T = U S U^T gives the rows U sqrt(S).
    """
    if features.shape[1] <= features.shape[0]:
        return features
    values, vectors = scipy.linalg.eigh(features @ features.T)
    kept = values > values[-1] * 1e-12
    return np.asarray(vectors[:, kept] * np.sqrt(values[kept]))
