"""Log-odds of accuracies."""

import numpy as np
import pytest

from itm.prediction.scale import from_log_odds, log_odds, sampling_variance, slope


def test_accuracies_come_back_from_log_odds() -> None:
    accuracies = np.array([0.05, 0.5, 0.93])
    assert from_log_odds(log_odds(accuracies)) == pytest.approx(accuracies)


def test_accuracies_of_0_and_1_have_finite_log_odds() -> None:
    assert np.isfinite(log_odds(np.array([0.0, 1.0]))).all()


def test_slope_is_the_derivative_of_accuracy() -> None:
    change = (from_log_odds(0.7 + 1e-6) - from_log_odds(0.7 - 1e-6)) / 2e-6
    assert slope(0.7) == pytest.approx(change)


def test_sampling_variance_is_that_of_drawn_accuracies() -> None:
    drawn = np.random.default_rng(0).binomial(180, 0.8, 20_000) / 180
    assert sampling_variance(0.8, 180) == pytest.approx(np.var(log_odds(drawn)), rel=0.05)


def test_an_accuracy_of_1_has_a_finite_variance() -> None:
    assert 0 < sampling_variance(1.0, 60) < 2
