"""LFC against its definition on dense matrices."""

import numpy as np
import pytest

from itm.scores import evaluate


@pytest.mark.parametrize("width", [5, 60])
def test_equals_the_correlation_of_dense_matrices(width: int) -> None:
    rng = np.random.default_rng(width)
    labels = np.repeat([0, 1, 2], [20, 15, 5])
    features = rng.normal(size=(40, width)) + 3 + np.eye(3, width)[labels] * 2
    centring = np.eye(40) - 1 / 40
    same = np.where(labels[:, None] == labels, 1.0, -1.0)
    ours, theirs = (centring @ matrix @ centring for matrix in (features @ features.T, same))
    expected = (ours * theirs).sum() / np.sqrt((ours**2).sum() * (theirs**2).sum())
    assert evaluate("lfc", features, labels).value == pytest.approx(expected, rel=1e-9)


def test_is_one_for_classes_that_are_corners() -> None:
    assert evaluate("lfc", np.eye(4)[np.arange(40) % 4], np.arange(40) % 4).value == pytest.approx(1.0)
