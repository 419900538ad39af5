"""Metrics: how well predictions match targets, with direction and bounds."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Metric:
    """A number that compares predictions [n] with targets [n].

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


ACCURACY = Metric("accuracy", "accuracy", accuracy, lowest=0.0, highest=1.0)
BALANCED_ACCURACY = Metric("balanced_accuracy", "balanced accuracy", balanced_accuracy, lowest=0.0, highest=1.0)
