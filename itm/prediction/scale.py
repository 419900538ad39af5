"""The scale on which accuracies are predicted: log-odds, on which differences near 0 and 1 are comparable to those between."""

import numpy as np
from scipy import stats

Array = np.ndarray

LEAST, MOST = 0.01, 0.99  # accuracies beyond these are held to be as good as these


def log_odds(accuracy: Array | float) -> Array:
    """Return the log-odds of accuracies, which are shares of 1."""
    bounded = np.clip(np.asarray(accuracy, dtype=np.float64), LEAST, MOST)
    return np.asarray(np.log(bounded / (1 - bounded)))


def from_log_odds(value: Array | float) -> Array:
    """Return the accuracies of log-odds."""
    return np.asarray(1 / (1 + np.exp(-np.asarray(value, dtype=np.float64))))


def slope(value: Array | float) -> Array:
    """Return the accuracy gained by one unit of log-odds, at these log-odds."""
    accuracy = from_log_odds(value)
    return np.asarray(accuracy * (1 - accuracy))


def sampling_variance(accuracy: Array | float, images: Array | float) -> Array:
    """Return the variance, in log-odds, of an accuracy that was measured on so many images.

    An accuracy has the binomial variance a (1 - a) / n, and log-odds change by 1 / (a (1 - a)) per unit of a, so it is
    1 / (n a (1 - a)). One right and one wrong image are added, so that an accuracy of 0 or 1 has a finite one.
    """
    count = np.asarray(images, dtype=np.float64)
    likely = (np.asarray(accuracy, dtype=np.float64) * count + 1) / (count + 2)
    return np.asarray(1 / (count * likely * (1 - likely)))


def accuracy_interval(mean: Array, deviation: Array, level: float) -> tuple[Array, Array]:
    """Return the lower and the upper ends of intervals of accuracies, whose log-odds are Gaussian."""
    half = stats.norm.ppf(0.5 + level / 2) * deviation
    return from_log_odds(mean - half), from_log_odds(mean + half)
