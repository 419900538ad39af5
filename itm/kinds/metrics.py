"""Metrics: how well predictions match targets, with direction and bounds."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Metric:
    """A number that compares predictions with targets, both [n] or [n, t].

    `label` is what tables and pages call it. `lowest` and `highest` bound its values.
    """

    name: str
    label: str
    value: Callable[[np.ndarray, np.ndarray], float]
    higher_is_better: bool = True
    lowest: float = -np.inf
    highest: float = np.inf


def describe_range(lowest: float, highest: float) -> str:
    """Return bounds of a number in words.

    >>> describe_range(0, 1), describe_range(-np.inf, 1), describe_range(0, np.inf), describe_range(-np.inf, np.inf)
    ('0 to 1', 'at most 1', '0 or more', 'any number')
    """
    if np.isinf([lowest, highest]).all():
        return "any number"
    if np.isinf([lowest, highest]).any():
        return f"at most {highest:g}" if np.isinf(lowest) else f"{lowest:g} or more"
    return f"{lowest:g} to {highest:g}"


def accuracy(predicted: np.ndarray, actual: np.ndarray) -> float:
    """Return the share of rows whose class number is right, from 0 to 1."""
    return float((predicted == actual).mean())


def balanced_accuracy(predicted: np.ndarray, actual: np.ndarray) -> float:
    """Return the mean over classes of the share of their rows that is right, from 0 to 1; classes without rows do not count."""
    rows = np.bincount(actual)
    return float((np.bincount(actual, predicted == actual)[rows > 0] / rows[rows > 0]).mean())


def mean_iou(predicted: np.ndarray, actual: np.ndarray) -> float:
    """Return the mean intersection over union of the classes, from 0 to 1.

    That of a class is the number of rows that have it both in class numbers `predicted` [n] and `actual` [n] over the number
    of rows that have it in one of them. Classes without rows in both do not count.
    """
    classes = int(max(predicted.max(), actual.max())) + 1
    both = np.bincount(actual[predicted == actual], minlength=classes)
    either = np.bincount(actual, minlength=classes) + np.bincount(predicted, minlength=classes) - both
    return float((both[either > 0] / either[either > 0]).mean())


def average_precisions(probability: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """Return the average precision [t] of each label, from 0 to 1; nan for one that all rows or none of them have.

    It is the sum over thresholds of the precision times the increase of the recall, from probabilities and truth [n, t]. Rows
    with equal probability have one threshold.
    """
    return np.array([_average_precision(probability[:, label], actual[:, label]) for label in range(actual.shape[1])])


def _average_precision(probability: np.ndarray, actual: np.ndarray) -> float:
    positives = int(actual.sum(dtype=np.int64))
    if positives in (0, len(actual)):
        return np.nan
    order = np.argsort(-probability, kind="stable")
    last = np.append(np.flatnonzero(np.diff(probability[order])), len(order) - 1)  # the last row of each threshold
    found = np.cumsum(actual[order], dtype=np.int64)[last]
    return float((np.diff(found, prepend=0) / positives * (found / (last + 1))).sum())


def average_precision(probability: np.ndarray, actual: np.ndarray) -> float:
    """Return the mean average precision of the labels that some rows have and others lack; 0 if there is no such label."""
    values = average_precisions(probability, actual)
    return float(np.nanmean(values)) if np.isfinite(values).any() else 0.0


def micro_f1(probability: np.ndarray, actual: np.ndarray) -> float:
    """Return F1 of all rows and labels together, from 0 to 1, where a label is predicted if its probability is above 0.5."""
    predicted, true = probability > 0.5, actual.astype(bool)
    named = int(predicted.sum()) + int(true.sum())
    return 2 * int((predicted & true).sum()) / named if named else 1.0


def r2(predicted: np.ndarray, actual: np.ndarray) -> float:
    """Return the explained share of the variance, at most 1; of targets that are all equal, 1 if all are right, else 0.

    Of several targets [n, t] it is the mean over them.
    """
    if actual.ndim > 1:
        return float(np.mean([r2(predicted[:, target], actual[:, target]) for target in range(actual.shape[1])]))
    error, variation = float(((predicted - actual) ** 2).sum()), float(((actual - actual.mean()) ** 2).sum())
    return 1 - error / variation if variation else float(error == 0)


def mean_absolute_error(predicted: np.ndarray, actual: np.ndarray) -> float:
    """Return the mean distance of predictions from targets, in their unit; nan for several targets, whose units differ."""
    return float(np.abs(predicted - actual).mean()) if actual.ndim == 1 else np.nan


def spearman(predicted: np.ndarray, actual: np.ndarray) -> float:
    """Return the correlation of the ranks, from -1 to 1; 0 if predictions or targets are all equal.

    Of several targets [n, t] it is the mean over them.
    """
    from scipy import stats  # slow to import, and classification does not need it

    if actual.ndim > 1:
        return float(np.mean([spearman(predicted[:, target], actual[:, target]) for target in range(actual.shape[1])]))
    if (predicted == predicted[0]).all() or (actual == actual[0]).all():
        return 0.0
    return float(stats.spearmanr(predicted, actual).statistic)


ACCURACY = Metric("accuracy", "accuracy", accuracy, lowest=0.0, highest=1.0)
BALANCED_ACCURACY = Metric("balanced_accuracy", "balanced accuracy", balanced_accuracy, lowest=0.0, highest=1.0)
PATCH_ACCURACY = Metric("patch_accuracy", "patch accuracy", accuracy, lowest=0.0, highest=1.0)
MEAN_IOU = Metric("mean_iou", "mean IoU", mean_iou, lowest=0.0, highest=1.0)
AVERAGE_PRECISION = Metric("average_precision", "macro average precision", average_precision, lowest=0.0, highest=1.0)
MICRO_F1 = Metric("micro_f1", "micro F1", micro_f1, lowest=0.0, highest=1.0)
R2 = Metric("r2", "R²", r2, highest=1.0)
MAE = Metric("mae", "mean absolute error", mean_absolute_error, higher_is_better=False, lowest=0.0)
SPEARMAN = Metric("spearman", "Spearman correlation", spearman, lowest=-1.0, highest=1.0)
