"""Which models to fine-tune under a joint distribution of their accuracies."""

import numpy as np
from scipy.stats import norm

NOISE = 0.05  # standard deviation of a measured accuracy, in log-odds
FURTHEST = 2.0  # standard deviations; a worse surprise is a failed run, which says little about other models


def measure(mean: np.ndarray, covariance: np.ndarray, values: np.ndarray, cells: int) -> list[int]:
    """Return the models that are fine-tuned, as row numbers in order.

    Each is the one with the greatest expected improvement over the highest expected accuracy, given the cells so far.

    Parameters
    ----------
    mean, covariance
        Of the models' accuracies in log-odds, [m] and [m, m].
    values
        Log-odds that a measurement finds, [m].
    cells
        Number of models to measure.
    """
    seen: list[int] = []
    for _ in range(min(cells, len(mean))):
        gains = expected_improvement(mean, covariance)
        gains[seen] = -np.inf
        row = int(np.argmax(gains))
        mean, covariance = observe(mean, covariance, row, float(values[row]))
        seen.append(row)
    return seen


def expected_improvement(mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Return by how much each model is expected to exceed the highest mean, [m]; 0 for those that do not."""
    deviation = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
    above = (mean - mean.max()) / deviation
    return np.asarray(deviation * (above * norm.cdf(above) + norm.pdf(above)))


def observe(mean: np.ndarray, covariance: np.ndarray, row: int, value: float) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and covariance given one measured value. A surprise far below the mean counts as `FURTHEST` deviations."""
    gain = covariance[:, row] / (covariance[row, row] + NOISE**2)
    surprise = max(value - mean[row], -FURTHEST * float(np.sqrt(covariance[row, row])))
    return mean + gain * surprise, covariance - np.outer(gain, covariance[row])
