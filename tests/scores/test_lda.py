"""LDA against a dense generalised eigenproblem, and against public code that is something else."""

import numpy as np
import pytest

from itm.scores import evaluate
from tests.scores import public_code
from tests.scores.conftest import Golden
from tests.scores.dense import SHAPES, slow_lda
from tests.scores.samples import uneven


@pytest.mark.parametrize(("n", "d", "classes"), SHAPES)
def test_equals_the_definition(n: int, d: int, classes: int) -> None:
    features, labels = uneven(n, d, classes)
    value = evaluate("lda", features, labels).value
    assert value == pytest.approx(slow_lda(features, labels), rel=1e-8)
    assert value < 0.9999


def test_public_code_is_nearest_class_mean(golden: Golden) -> None:
    stored = golden.expected["lda:etran (nearest class mean in fact)"]
    assert public_code.lda(golden.features, golden.labels) == pytest.approx(stored, rel=1e-6)
    assert evaluate("lda", golden.features, golden.labels).value != pytest.approx(stored, rel=1e-3)


def test_lda_sees_what_nearest_class_mean_does_not() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 2
    features = np.c_[rng.normal(size=400) * 3, labels + 0.1 * rng.normal(size=400)]
    assert evaluate("lda", features, labels).value > 0.95
    assert public_code.lda(features, labels) < 0.7


@pytest.mark.parametrize("d", [3, 40])
def test_features_that_say_nothing_leave_the_shares(d: int) -> None:
    labels = np.repeat([0, 1, 2], [10, 6, 4])
    assert evaluate("lda", np.full((20, d), 0.1), labels).value == pytest.approx(0.5**2 + 0.3**2 + 0.2**2)


def test_classes_that_are_points_are_told_apart_for_certain() -> None:
    labels = np.arange(40) % 4
    corners = np.random.default_rng(0).normal(size=(4, 7))
    assert evaluate("lda", corners[labels], labels).value == pytest.approx(1.0)
    corners[3] = corners[2]
    assert evaluate("lda", corners[labels], labels).value == pytest.approx(0.75, abs=1e-5)


@pytest.mark.parametrize("n", [300, 50])
def test_a_plane_that_separates_exactly_gives_one(n: int) -> None:
    labels = np.arange(n) % 3
    noise = np.random.default_rng(0).normal(size=(n, 60))
    assert evaluate("lda", np.c_[noise, 100.0 * labels], labels).value == pytest.approx(1.0, abs=1e-9)
