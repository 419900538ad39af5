"""TMI against the estimator written out in loops, and against entropies that are known."""

import numpy as np
import pytest
from scipy.special import digamma

from itm.core.errors import ParamsError, ScoreError
from itm.scores import check_options, evaluate
from tests.scores.samples import blobs


def entropy(rows: np.ndarray, dimensions: int, spread: float, floor: float) -> float:
    """Return the estimate for the rows of one class, one distance after the other."""
    nearest = min(3, len(rows) - 1)
    logs = []
    for i, row in enumerate(rows):
        distances = sorted(max(abs(row - other)) for j, other in enumerate(rows) if j != i)
        logs.append(np.log(2 * max(distances[nearest - 1] / spread, floor)))
    return float(digamma(len(rows)) - digamma(nearest) + dimensions * np.mean(logs))


@pytest.mark.parametrize("width", [4, 70])
def test_equals_the_definition(width: int) -> None:
    """For more rows than features and for fewer, where the rank counts and not the width, classes weigh by their rows.

    The class of two rows has one neighbour, and the class of one row is left out.
    """
    features, _ = blobs(n=48, d=width)
    labels = np.repeat([0, 1, 2, 3], [30, 15, 2, 1])
    features = features.astype(np.float64) * 3
    spread = np.sqrt(features.var(axis=0).mean())
    parts = [entropy(features[labels == label], min(width, 47), spread, 1e-6) for label in range(3)]
    expected = np.average(parts, weights=[30, 15, 2])
    assert evaluate("tmi", features, labels).value == pytest.approx(expected, rel=1e-9)


def test_the_reference_has_a_floor_of_one_and_divides_twice() -> None:
    """As the field's table says: features as they are, distances of 1 at least, and a sum over classes over their number."""
    features, labels = blobs(n=60, d=5)
    features = features.astype(np.float64)
    parts = [entropy(features[labels == label], 5, 1.0, 1.0) for label in range(4)]
    value = evaluate("tmi", features, labels, options={"reference": True}).value
    assert value == pytest.approx(sum(0.25 * part for part in parts) / 4, rel=1e-9)
    small = evaluate("tmi", features * 0.01, labels, options={"reference": True}).value
    assert small == pytest.approx((digamma(15) - digamma(3) + 5 * np.log(2)) / 4)


def test_estimates_the_entropy_of_a_gaussian() -> None:
    """Two classes of 2000 Gaussian rows in two dimensions, in units of the features' spread, have an entropy that is known."""
    rng = np.random.default_rng(0)
    labels = np.arange(4000) % 2
    features = rng.normal(size=(4000, 2)) + 3 * labels[:, None]
    spread = np.sqrt(features.var(axis=0).mean())
    value = evaluate("tmi", features, labels, options={"rows_a_class": 2000}).value
    assert value == pytest.approx(np.log(2 * np.pi * np.e) - 2 * np.log(spread), abs=0.05)


def test_some_rows_of_a_class_stand_for_all() -> None:
    """The entropy of a quarter of each class's rows is nearly that of all."""
    features, labels = blobs(n=1200, d=3, gap=1.0)
    values = [evaluate("tmi", features, labels, options={"rows_a_class": rows}).value for rows in (300, 75)]
    assert values[1] != values[0]
    assert values[1] == pytest.approx(values[0], abs=0.2)


def test_classes_that_spread_more_score_higher() -> None:
    """It is the spread within the classes, of one and the same space, that counts: the score falls as they separate."""
    values = [evaluate("tmi", *blobs(n=300, gap=gap)).value for gap in (0.2, 1.0, 3.0)]
    assert values[0] > values[1] > values[2]


def test_a_class_with_two_rows_is_needed() -> None:
    """One image a class has no spread, and the error says what to do."""
    with pytest.raises(ScoreError, match="each of 20 classes has one; add images"):
        evaluate("tmi", blobs(n=20)[0], np.arange(20))


@pytest.mark.parametrize("options", [{"neighbours": 0}, {"floor": 0.0}, {"rows_a_class": 3}, {"seed": -1}])
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    """An option that makes no sense is an error that names the score."""
    with pytest.raises(ParamsError, match="tmi needs"):
        check_options("tmi", options)
