"""Angles of accuracies."""

import numpy as np
import pytest

from itm.prediction.scale import accuracy_interval, from_angle, sampling_variance, slope, to_angle


def test_accuracies_come_back_from_angles() -> None:
    accuracies = np.array([0.0, 0.05, 0.5, 0.93, 1.0])
    assert from_angle(to_angle(accuracies)) == pytest.approx(accuracies)


def test_beyond_the_ends_of_the_scale_accuracies_are_0_and_1() -> None:
    assert from_angle(np.array([-0.3, 2.0])).tolist() == [0.0, 1.0]
    low, high = accuracy_interval(np.array([1.5]), np.array([0.2]), 0.95)
    assert low < 1
    assert high == 1


def test_slope_is_the_derivative_of_accuracy() -> None:
    change = (from_angle(0.7 + 1e-6) - from_angle(0.7 - 1e-6)) / 2e-6
    assert slope(0.7) == pytest.approx(change)


@pytest.mark.parametrize("accuracy", [0.3, 0.8, 0.95])
def test_sampling_variance_is_that_of_drawn_accuracies(accuracy: float) -> None:
    drawn = np.random.default_rng(0).binomial(180, accuracy, 20_000) / 180
    assert sampling_variance(180) == pytest.approx(np.var(to_angle(drawn)), rel=0.05)
