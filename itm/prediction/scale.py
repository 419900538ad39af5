"""The scale on which accuracies are predicted: angles, on which a difference means as much near 1 as it does in the middle.

The angle of an accuracy a is arcsin sqrt(a), from 0 to pi / 2. An accuracy that was measured on n images has the binomial
variance a (1 - a) / n, and the angle changes by 1 / (2 sqrt(a (1 - a))) per unit of a. So an angle has the variance 1 / 4n at
every accuracy, and one noise can be fitted for data sets of any difficulty.
"""

import numpy as np
from scipy import stats

Array = np.ndarray

RIGHT = np.pi / 2  # the angle of an accuracy of 1


def to_angle(accuracy: Array | float) -> Array:
    """Return the angles of accuracies, which are shares of 1."""
    return np.asarray(np.arcsin(np.sqrt(np.clip(np.asarray(accuracy, dtype=np.float64), 0.0, 1.0))))


def from_angle(value: Array | float) -> Array:
    """Return the accuracies of angles. Beyond the ends of the scale they are 0 and 1."""
    return np.asarray(np.sin(np.clip(np.asarray(value, dtype=np.float64), 0.0, RIGHT)) ** 2)


def slope(value: Array | float) -> Array:
    """Return the accuracy gained per unit of angle, at these angles."""
    return np.asarray(np.sin(2 * np.clip(np.asarray(value, dtype=np.float64), 0.0, RIGHT)))


def sampling_variance(images: Array | float) -> Array:
    """Return the variance of the angle of an accuracy that was measured on so many images."""
    return np.asarray(0.25 / np.asarray(images, dtype=np.float64))


def accuracy_interval(mean: Array, deviation: Array, level: float) -> tuple[Array, Array]:
    """Return the lower and the upper ends of intervals of accuracies, whose angles are Gaussian."""
    half = stats.norm.ppf(0.5 + level / 2) * deviation
    return from_angle(mean - half), from_angle(mean + half)
