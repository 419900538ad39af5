"""SFDA against its two stages written out with dense matrices, and against the public code."""

import numpy as np
import pytest

from itm.scores import evaluate
from tests.scores.conftest import Golden
from tests.scores.samples import blobs
from tests.scores.test_lda import SHAPES, fitting, narrowed, posteriors, true_class, uneven, within


def two_stages(features: np.ndarray, labels: np.ndarray, shrinkage: float) -> float:
    """Return the score of rows mixed one by one."""
    first = posteriors(features, labels, shrinkage)
    means = [features[labels == number].mean(axis=0) for number in range(labels.max() + 1)]
    mixed = features.copy()
    for row, own in enumerate(labels):
        softened = np.exp(first[row]) / np.exp(first[row]).sum()
        others = np.mean([mean for number, mean in enumerate(means) if number != own], axis=0)
        mixed[row] = softened[own] * features[row] + (1 - softened[own]) * others
    return true_class(posteriors(mixed, labels, shrinkage), labels)


def published_shrinkage(features: np.ndarray, labels: np.ndarray) -> float:
    """Return the published share, from a power iteration with the covariance within classes itself."""
    scatter = within(features, labels)
    x = scatter.sum(axis=1)
    for _ in range(3):
        y = scatter @ x / np.linalg.norm(scatter @ x)
        x = scatter @ y / np.linalg.norm(scatter @ y)
    return float(max(np.exp(-5 * (x @ scatter @ y)), 1e-10))


@pytest.mark.parametrize(("n", "d", "classes"), SHAPES)
def test_equals_the_definition(n: int, d: int, classes: int) -> None:
    """The score is that of two dense stages, both shrunk by the Ledoit-Wolf share of the rows as they were."""
    features, labels = uneven(n, d, classes)
    rows = narrowed(features)
    value = evaluate("sfda", features, labels).value
    assert value == pytest.approx(two_stages(rows, labels, fitting(rows, labels)), rel=1e-8)


def test_golden_reference(golden: Golden) -> None:
    """As the reference, the score is that of the public code."""
    value = evaluate("sfda", golden.features, golden.labels, options={"reference": True}).value
    assert value == pytest.approx(golden.expected["sfda:sfda"], rel=1e-6)


@pytest.mark.parametrize("unit", [0.02, 0.1])
@pytest.mark.parametrize(("n", "d", "classes"), SHAPES)
def test_the_reference_is_as_published_for_any_shape(n: int, d: int, classes: int, unit: float) -> None:
    """As the reference, share and target are the published ones, also where rows are fewer than features."""
    features, labels = uneven(n, d, classes)
    features = features * unit
    expected = two_stages(features, labels, published_shrinkage(features, labels))
    assert evaluate("sfda", features, labels, options={"reference": True}).value == pytest.approx(expected, rel=1e-7)


def test_few_rows_are_not_taken_for_certainty() -> None:
    """Noise of more features than rows is certain as published, and not by default, where real classes score higher."""
    labels = np.arange(60) % 4
    noise = np.random.default_rng(0).normal(size=(60, 300))
    apart = noise + 3 * np.random.default_rng(1).normal(size=(4, 300))[labels]
    assert evaluate("sfda", noise, labels, options={"reference": True}).value == pytest.approx(1.0)
    assert evaluate("sfda", noise, labels).value < 0.9 < evaluate("sfda", apart, labels).value


def test_the_published_share_depends_on_the_unit() -> None:
    """The same features in another unit score differently as published, and the same by default."""
    features, labels = blobs(n=200, d=12)
    features *= np.geomspace(0.1, 3.0, 12, dtype=np.float32)
    published = [evaluate("sfda", features * unit, labels, options={"reference": True}).value for unit in (0.125, 2.0)]
    assert abs(published[0] - published[1]) > 0.1
    assert evaluate("sfda", features * 0.125, labels).value == pytest.approx(evaluate("sfda", features * 2, labels).value)


def test_two_classes_at_one_point_have_no_largest_eigenvalue() -> None:
    """Classes that are points and coincide, where both discriminants have nothing to go by, leave the classes' shares."""
    labels = np.arange(40) % 2
    for reference in (False, True):
        assert evaluate("sfda", np.ones((40, 5)), labels, options={"reference": reference}).value == pytest.approx(0.5)
