"""LDA against a dense generalised eigenproblem, and against the public code where that is what it says it is."""

import numpy as np
import pytest
import scipy.linalg
import scipy.special
from sklearn.covariance import ledoit_wolf_shrinkage

from itm.scores import evaluate
from tests.scores.conftest import Golden


def within(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the covariance within classes, class by class."""
    scatter = np.zeros((features.shape[1],) * 2)
    for number in np.unique(labels):
        residuals = features[labels == number] - features[labels == number].mean(axis=0)
        scatter += residuals.T @ residuals / len(features)
    return scatter


def posteriors(features: np.ndarray, labels: np.ndarray, shrinkage: float) -> np.ndarray:
    """Return the posteriors [n, C] of a discriminant made of all eigenvectors of the shrunk scatter matrices."""
    shares = np.bincount(labels) / len(labels)
    means = np.array([features[labels == number].mean(axis=0) for number in range(len(shares))])
    total = np.cov(features.T, bias=True).reshape(len(features.T), -1)
    inside = within(features, labels)
    target = np.trace(inside) / len(inside) * np.eye(len(inside))
    shrunk = (1 - shrinkage) * inside + shrinkage * target
    _, axes = scipy.linalg.eigh(total - inside, shrunk)
    weights = means @ axes @ axes.T
    return np.asarray(scipy.special.softmax(features @ weights.T - (weights * means).sum(axis=1) / 2 + np.log(shares), axis=1))


def fitting(features: np.ndarray, labels: np.ndarray) -> float:
    """Return the Ledoit-Wolf intensity of the residuals within classes, as scikit-learn has it."""
    means = np.array([features[labels == number].mean(axis=0) for number in range(labels.max() + 1)])
    return float(ledoit_wolf_shrinkage(features - means[labels], assume_centered=True))


def narrowed(features: np.ndarray) -> np.ndarray:
    """Return the rows less their mean in an orthonormal basis of what they span."""
    left, lengths, _ = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)
    kept = lengths > 1e-9 * lengths[0]
    return np.asarray(left[:, kept] * lengths[kept])


def true_class(chances: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean posterior of the true class."""
    return float(chances[np.arange(len(labels)), labels].mean())


def slow_lda(features: np.ndarray, labels: np.ndarray) -> float:
    """Return the score from dense matrices."""
    rows = narrowed(features.astype(np.float64))
    return true_class(posteriors(rows, labels, fitting(rows, labels)), labels)


SHAPES = [
    pytest.param(200, 12, 4, id="more rows than features"),
    pytest.param(60, 90, 5, id="fewer rows than features"),
    pytest.param(200, 6, 30, id="more classes than features"),
    pytest.param(40, 60, 20, id="few rows of many classes"),
]


def uneven(n: int, d: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return overlapping classes of unequal size, some of one row where there are few, in a space of unequal axes."""
    rng = np.random.default_rng(5)
    labels = np.sort(rng.integers(0, classes, n) // 2 * 2 % classes)
    labels[:classes] = np.arange(classes)
    centres = 1.5 * rng.normal(size=(classes, d)) / np.sqrt(d)
    return (rng.normal(size=(n, d)) + centres[labels]) * np.linspace(0.2, 3.0, d), labels


@pytest.mark.parametrize(("n", "d", "classes"), SHAPES)
def test_equals_the_definition(n: int, d: int, classes: int) -> None:
    """The score is the mean posterior of the true class under the generalised eigenproblem, shrunk as by scikit-learn."""
    features, labels = uneven(n, d, classes)
    value = evaluate("lda", features, labels).value
    assert value == pytest.approx(slow_lda(features, labels), rel=1e-8)
    assert value < 0.9999


def test_golden_reference(golden: Golden) -> None:
    """As the reference, the score is that of ETran's public code, which is nearest class mean."""
    value = evaluate("lda", golden.features, golden.labels, options={"reference": True}).value
    assert value == pytest.approx(golden.expected["lda:etran (nearest class mean in fact)"], rel=1e-6)


@pytest.mark.parametrize(("n", "d", "classes"), SHAPES)
def test_the_reference_is_nearest_class_mean(n: int, d: int, classes: int) -> None:
    """As the reference, logits are minus half the squared distances from class means, with as many features or as few."""
    features, labels = uneven(n, d, classes)
    means = np.array([features[labels == number].mean(axis=0) for number in range(classes)])
    distances = ((features[:, None] - means) ** 2).sum(axis=2)
    chances = scipy.special.softmax(np.log(np.bincount(labels)) - distances / 2, axis=1)
    value = evaluate("lda", features, labels, options={"reference": True}).value
    assert value == pytest.approx(true_class(chances, labels), rel=1e-9)


def test_the_default_sees_what_nearest_class_mean_does_not() -> None:
    """A small feature that tells classes apart beside a large one that does not is found by LDA, and not by the public code."""
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 2
    features = np.c_[rng.normal(size=400) * 3, labels + 0.1 * rng.normal(size=400)]
    assert evaluate("lda", features, labels).value > 0.95
    assert evaluate("lda", features, labels, options={"reference": True}).value < 0.7


@pytest.mark.parametrize("d", [3, 40])
def test_features_that_say_nothing_leave_the_shares(d: int) -> None:
    """Where all rows are the same each class has its share as posterior, whatever the number of features."""
    labels = np.repeat([0, 1, 2], [10, 6, 4])
    assert evaluate("lda", np.full((20, d), 0.1), labels).value == pytest.approx(0.5**2 + 0.3**2 + 0.2**2)


def test_classes_that_are_points_are_told_apart_for_certain() -> None:
    """Without any variance within classes the posterior is 1, but for two classes at one point, which share it."""
    labels = np.arange(40) % 4
    corners = np.random.default_rng(0).normal(size=(4, 7))
    assert evaluate("lda", corners[labels], labels).value == pytest.approx(1.0)
    corners[3] = corners[2]
    assert evaluate("lda", corners[labels], labels).value == pytest.approx(0.75, abs=1e-5)


@pytest.mark.parametrize("n", [300, 50])
def test_a_plane_that_separates_exactly_gives_one(n: int) -> None:
    """Classes that differ in a feature that is constant within each, beside others that are noise, are certain."""
    labels = np.arange(n) % 3
    noise = np.random.default_rng(0).normal(size=(n, 60))
    assert evaluate("lda", np.c_[noise, 100.0 * labels], labels).value == pytest.approx(1.0, abs=1e-9)
