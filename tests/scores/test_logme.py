"""LogME against the definition of the evidence and against published implementations where they are right."""

import numpy as np
import pytest
from scipy import optimize, stats

from itm.scores import evaluate


def evidence_by_definition(features: np.ndarray, target: np.ndarray) -> float:
    """Maximise log N(target; 0, (F F^T / lambda + I) / beta) over both by brute force."""
    n = len(features)
    gram = features @ features.T

    def negative(logs: np.ndarray) -> float:
        ratio, noise = np.exp(logs)
        covariance = noise * (gram / ratio + np.eye(n))
        return -float(stats.multivariate_normal(np.zeros(n), covariance).logpdf(target)) / n

    starts = [(a, b) for a in (-3.0, 2.0, 7.0) for b in (-2.0,)]
    return max(-optimize.minimize(negative, start, method="Nelder-Mead", options={"xatol": 1e-7}).fun for start in starts)


@pytest.mark.parametrize("width", [5, 60])
def test_equals_the_evidence_by_definition(width: int) -> None:
    """For more rows than features and for fewer, the score is the maximal evidence of the Gaussian model itself."""
    rng = np.random.default_rng(width)
    labels = np.arange(30) % 3
    features = rng.normal(size=(30, width)) + np.eye(3, width)[labels] * 2
    expected = np.mean([evidence_by_definition(features, (labels == c) * 1.0) for c in range(3)])
    assert evaluate("logme", features, labels).value == pytest.approx(expected, abs=1e-6)


def test_a_wide_space_is_no_advantage() -> None:
    """Noise features, however many, never beat a few informative ones with the same number of images."""
    rng = np.random.default_rng(0)
    labels = np.arange(100) % 5
    informative = rng.normal(size=(100, 16)) + 1.5 * np.eye(5, 16)[labels]
    noise = rng.normal(size=(100, 2048))
    assert evaluate("logme", noise, labels).value < evaluate("logme", informative, labels).value
