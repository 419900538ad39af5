"""How well predicted classes match: as a share of the rows, or of each class's rows with every class counting alike."""

from typing import Literal, get_args

import numpy as np

from itm.core.errors import ParamsError

Metric = Literal["accuracy", "balanced_accuracy"]


def check_metric(score: str, metric: str) -> None:
    """Raise a ParamsError unless there is such a metric."""
    if metric not in get_args(Metric):
        raise ParamsError(f"{score}: metric is {metric!r}; it is {' or '.join(map(repr, get_args(Metric)))}.")


def accuracy(predicted: np.ndarray, actual: np.ndarray, metric: Metric = "accuracy") -> float:
    """Return the share of rows that are right, or the mean of it over the classes that have rows; from 0 to 1."""
    right = predicted == actual
    if metric == "accuracy":
        return float(right.mean())
    rows = np.bincount(actual)
    return float((np.bincount(actual, right)[rows > 0] / rows[rows > 0]).mean())


def majority_rate(learnt: np.ndarray, judged: np.ndarray) -> float:
    """Return the accuracy of always naming the commonest class of the learnt rows."""
    return float((judged == np.bincount(learnt).argmax()).mean())
