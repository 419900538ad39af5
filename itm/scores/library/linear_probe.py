"""Linear probe: logistic or ridge regression on the frozen embeddings, on held-out rows; the usual baseline of the field.

Labels of multi-label data have a logistic regression each.
"""

import warnings
from collections.abc import Sequence
from typing import Any

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
        kinds=(*CLASSES, "multilabel", "regression"),
        version=2,
    )

    def predict(self, sample: Sample, folds: Sequence[Fold]) -> list[Predictions]:
        """Return the most probable class, the probability of each label or the numbers of each test row.

        Features are standardised over all rows.
        """
        features = sample.features.astype(np.float64)
        spread = features.std(axis=0)
        constant = spread <= 1e-12 * np.abs(features).max()
        features = _narrow((features - features.mean(axis=0)) / np.where(constant, 1.0, spread))
        if sample.kind.name == "regression":
            return [_predict_numbers(features, sample.targets, fold) for fold in folds]
        if sample.kind.name == "multilabel":
            return [self._predict_labels(features, sample.targets, fold) for fold in folds]
        return [self._predict(features, sample.labels, fold) for fold in folds]

    def _predict(self, features: np.ndarray, labels: np.ndarray, fold: Fold) -> np.ndarray:
        trained = labels[fold.train]
        if (trained == trained[0]).all() or features.shape[1] == 0:
            return np.full(len(fold.test), np.bincount(trained).argmax())
        return np.asarray(self._fitted(features[fold.train], trained).predict(features[fold.test]))

    def _predict_labels(self, features: np.ndarray, targets: np.ndarray, fold: Fold) -> np.ndarray:
        """Return the probability [m, t] of each label; without an example of both, it is their share in the training rows."""
        found = np.tile(targets[fold.train].mean(axis=0), (len(fold.test), 1))
        for label in np.flatnonzero((found[0] > 0) & (found[0] < 1)) if features.shape[1] else ():
            probe = self._fitted(features[fold.train], targets[fold.train, label])
            found[:, label] = probe.predict_proba(features[fold.test])[:, 1]
        return found

    def _fitted(self, features: np.ndarray, labels: np.ndarray) -> Any:
        from sklearn.linear_model import LogisticRegression  # slow to import, and only this score needs it

        probe = LogisticRegression(C=self.options.inverse_penalty, tol=1e-4, max_iter=5000)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The number of unique classes is greater than 50%")
            return probe.fit(features, labels)


def _predict_numbers(features: np.ndarray, targets: np.ndarray, fold: Fold) -> np.ndarray:
    """Return predictions by ridge regression with the penalty of the least leave-one-out error on the training rows.

    Each of several targets has a penalty of its own.
    """
    if features.shape[1] == 0:
        return np.tile(targets[fold.train].mean(axis=0), (len(fold.test), *[1] * (targets.ndim - 1)))
    from sklearn.linear_model import RidgeCV  # slow to import, and only this score needs it

    probe = RidgeCV(alphas=len(fold.train) * PENALTIES, alpha_per_target=targets.ndim > 1)
    probe.fit(features[fold.train], targets[fold.train])
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
