"""Accuracies after fine-tuning with their 95 % intervals, and comparisons of two of them."""

from collections.abc import Sequence
from math import hypot, sqrt

import numpy as np

from itm.core.confirmations import Accuracy
from itm.kinds.metrics import R2

QUANTILE = 1.96  # of the normal distribution, for 95 %


def accuracy(values: Sequence[float], images: int, metric: str = "accuracy") -> Accuracy:
    """Return the mean of one accuracy per seed on the same images, with its interval.

    It is the interval of Wilson (JASA 1927), which does not collapse to a point at 0 or 1. All seeds are tested on the same
    images, so more seeds do not reduce the error that comes from the images. The variance of the mean over seeds is added to
    that of the images; the sum is written as the number of images that would have it. An average precision counts like a share
    of the images, which is an approximation. R² has the interval of `_explained`.
    """
    mean = float(np.mean(values))
    of_seeds = float(np.var(values, ddof=1)) / len(values) if len(values) > 1 else 0.0
    if metric == R2.name:
        return _explained(mean, of_seeds, images)
    of_images = mean * (1 - mean) / images
    effective = images * of_images / (of_images + of_seeds) if of_images else images
    shrink = 1 + QUANTILE**2 / effective
    centre = (mean + QUANTILE**2 / (2 * effective)) / shrink
    half = QUANTILE * sqrt(mean * (1 - mean) / effective + QUANTILE**2 / (4 * effective**2)) / shrink
    return Accuracy(mean, max(centre - half, 0.0), min(centre + half, 1.0), images)


def _explained(mean: float, of_seeds: float, images: int) -> Accuracy:
    """Return a mean R² with its interval from the variance 4 R² (1 - R²)² / n (Olkin and Finn, Psychological Bulletin 1995).

    It is 0 where R² is 0, so R² is taken as 1 / n at least.
    """
    share = min(max(mean, 1 / images), 1.0)
    half = QUANTILE * sqrt(4 * share * (1 - share) ** 2 / images + of_seeds)
    return Accuracy(mean, mean - half, min(mean + half, 1.0), images)


def chance_of_lead(better: Accuracy, worse: Accuracy) -> float:
    """Return how far `better` may be above `worse` by chance (Newcombe, Statistics in Medicine 1998, method 10).

    The images of both are the same, which makes chance smaller than this. The result is on the safe side.
    """
    return hypot(better.value - better.low, worse.high - worse.value)
