"""Accuracies after fine-tuning with their 95 % intervals, and comparisons of two of them."""

from collections.abc import Sequence
from math import hypot, sqrt

import numpy as np

from itm.core.confirmations import Accuracy

QUANTILE = 1.96  # of the normal distribution, for 95 %


def accuracy(values: Sequence[float], images: int) -> Accuracy:
    """Return the mean of one accuracy per seed on the same images, with its interval.

    It is the interval of Wilson (JASA 1927), which does not collapse to a point at 0 or 1. All seeds are tested on the same
    images, so more seeds do not reduce the error that comes from the images. The variance of the mean over seeds is added to
    that of the images; the sum is written as the number of images that would have it.
    """
    mean = float(np.mean(values))
    of_images = mean * (1 - mean) / images
    of_seeds = float(np.var(values, ddof=1)) / len(values) if len(values) > 1 else 0.0
    effective = images * of_images / (of_images + of_seeds) if of_images else images
    shrink = 1 + QUANTILE**2 / effective
    centre = (mean + QUANTILE**2 / (2 * effective)) / shrink
    half = QUANTILE * sqrt(mean * (1 - mean) / effective + QUANTILE**2 / (4 * effective**2)) / shrink
    return Accuracy(mean, max(centre - half, 0.0), min(centre + half, 1.0), images)


def chance_of_lead(better: Accuracy, worse: Accuracy) -> float:
    """Return how far `better` may be above `worse` by chance (Newcombe, Statistics in Medicine 1998, method 10).

    The images of both are the same, which makes chance smaller than this. The result is on the safe side.
    """
    return hypot(better.value - better.low, worse.high - worse.value)
