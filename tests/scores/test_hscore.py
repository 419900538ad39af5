"""The H-score and its shrunk form against dense matrices, their bound, and published implementations."""

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from itm.scores import evaluate
from tests.scores import public_code
from tests.scores.conftest import Golden
from tests.scores.samples import blobs


def uneven(rows: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return embeddings of four classes of unequal size and unequal variances."""
    rng = np.random.default_rng(seed)
    labels = np.r_[np.arange(4), rng.choice(4, rows - 4, p=[0.1, 0.2, 0.3, 0.4])]
    features = rng.normal(size=(rows, width)) * np.geomspace(0.1, 3, width) + rng.normal(size=(4, width))[labels]
    return features, labels


def between(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return Cov G, where a row of G is the mean of the row's class."""
    means = np.stack([features[labels == label].mean(axis=0) for label in labels])
    return np.cov(means.T, bias=True)


def test_hscore_is_that_of_public_code_where_rows_are_plenty(golden: Golden) -> None:
    assert evaluate("hscore", golden.features, golden.labels).value == pytest.approx(golden.expected["hscore:tllib"], rel=1e-9)


def test_public_code_of_the_shrunk_hscore_divides_by_two_numbers(golden: Golden) -> None:
    stored, n = golden.expected["hscore_regularized:tllib"], len(golden.labels)
    assert public_code.hscore_shrunk(golden.features, golden.labels) == pytest.approx(stored, rel=1e-9)
    assert evaluate("hscore_shrunk", golden.features, golden.labels).value == pytest.approx(stored * (n - 1) / n, rel=1e-9)


@pytest.mark.parametrize(("rows", "width"), [(200, 10), (30, 60)])
@pytest.mark.parametrize("copies", [1, 2])
def test_hscore_equals_its_definition(rows: int, width: int, copies: int) -> None:
    features, labels = uneven(rows, width)
    features = np.tile(features, copies)
    inverse = np.linalg.pinv(np.cov(features.T, bias=True), rcond=1e-10, hermitian=True)
    expected = np.trace(inverse @ between(features, labels))
    assert evaluate("hscore", features, labels).value == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize(("rows", "width", "copies"), [(30, 60, 1), (12, 300, 1), (40, 12, 3), (300, 100, 2)])
def test_hscore_never_exceeds_its_bound(rows: int, width: int, copies: int) -> None:
    features, labels = blobs(n=rows, d=width)
    value = evaluate("hscore", np.tile(features.astype(np.float64), copies), labels).value
    assert 0 <= value <= 3 + 1e-9
    if rows < width:
        assert value == pytest.approx(3)


def test_shrunk_hscore_equals_its_definition_where_rows_are_plenty() -> None:
    features, labels = uneven(200, 10)
    model = LedoitWolf().fit(features)
    expected = (1 - model.shrinkage_) * np.trace(np.linalg.inv(model.covariance_) @ between(features, labels))
    assert 0 < model.shrinkage_ < 1
    assert evaluate("hscore_shrunk", features, labels).value == pytest.approx(expected, rel=1e-9)


def test_shrunk_hscore_shrinks_in_the_directions_that_rows_reach() -> None:
    features, labels = uneven(30, 60)
    left, lengths, _ = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)
    reached = left[:, :29] * lengths[:29]
    model = LedoitWolf(assume_centered=True).fit(reached)
    expected = (1 - model.shrinkage_) * np.trace(np.linalg.inv(model.covariance_) @ between(reached, labels))
    assert 0 < model.shrinkage_ < 1
    assert evaluate("hscore_shrunk", features, labels).value == pytest.approx(expected, rel=1e-9)


def test_shrunk_hscore_tells_models_apart_with_few_images() -> None:
    spread = np.geomspace(10, 0.001, 200)
    near, labels = blobs(n=40, d=200, gap=0.2)
    far, _ = blobs(n=40, d=200, gap=1.0)
    near, far = near * spread, far * spread
    assert evaluate("hscore", near, labels).value == pytest.approx(evaluate("hscore", far, labels).value)
    assert 0 < evaluate("hscore_shrunk", near, labels).value < evaluate("hscore_shrunk", far, labels).value


def test_few_rows_that_vary_alike_in_all_directions_say_nothing() -> None:
    assert evaluate("hscore_shrunk", *blobs(n=40, d=200, gap=0.2)).value == 0


def test_a_sphere_needs_no_shrinkage() -> None:
    features, labels = np.r_[np.eye(6), -np.eye(6)], np.r_[0, 1, 2, 0, 1, 2, 1, 2, 0, 1, 2, 0]
    assert evaluate("hscore_shrunk", features, labels).value == evaluate("hscore", features, labels).value > 0
