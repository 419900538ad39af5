"""LogME against the definition of the evidence and against published implementations where they are right."""

import numpy as np
import pytest
from scipy import optimize, stats

from itm.scores import Sample, evaluate
from itm.scores.common.evidence import mean_evidence
from itm.scores.common.statistics import Statistics

pytestmark = pytest.mark.slow


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
    rng = np.random.default_rng(width)
    labels = np.arange(30) % 3
    features = rng.normal(size=(30, width)) + np.eye(3, width)[labels] * 2
    expected = np.mean([evidence_by_definition(features, (labels == c) * 1.0) for c in range(3)])
    assert evaluate("logme", features, labels).value == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("width", [5, 60])
def test_real_valued_targets_have_the_evidence_by_definition(width: int) -> None:
    rng = np.random.default_rng(width)
    features = rng.normal(size=(30, width)) + 1.0
    targets = np.stack([features[:, :3].sum(axis=1) + rng.normal(size=30), 5.0 + rng.normal(size=30)], axis=1)
    statistics = Statistics(features, np.arange(30), np.zeros(30, dtype=np.int64))
    found = mean_evidence(
        rows=30,
        weights=np.ones(2),
        means=targets.mean(axis=0),
        products=statistics.mean_products(targets),
        mean_squares=(targets**2).mean(axis=0),
        values=statistics.values,
        mean_coordinates=statistics.mean_coordinates,
        mean_square=float(statistics.mean @ statistics.mean),
        total_variance=statistics.total_variance,
    )
    assert found == pytest.approx(np.mean([evidence_by_definition(features, target) for target in targets.T]), abs=1e-6)


@pytest.mark.parametrize("width", [5, 60])
def test_mean_products_of_class_indicators_are_shares_times_centres(width: int) -> None:
    rng = np.random.default_rng(width)
    statistics = Sample(rng.normal(size=(30, width)), np.arange(30), np.arange(30) % 4).statistics
    expected = statistics.shares[:, None] * statistics.centres
    np.testing.assert_allclose(statistics.mean_products(np.eye(4)[np.arange(30) % 4]), expected, atol=1e-12)


def test_a_wide_space_is_no_advantage() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(100) % 5
    informative = rng.normal(size=(100, 16)) + 1.5 * np.eye(5, 16)[labels]
    noise = rng.normal(size=(100, 2048))
    assert evaluate("logme", noise, labels).value < evaluate("logme", informative, labels).value
