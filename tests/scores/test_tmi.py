"""TMI against the estimator written out in loops, and against entropies that are known."""

import numpy as np
import pytest
from scipy.special import digamma

from itm.core.errors import ParamsError, ScoreError
from itm.scores import evaluate, make
from tests.scores import public_code
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
    features, _ = blobs(n=48, d=width)
    labels = np.repeat([0, 1, 2, 3], [30, 15, 2, 1])
    features = features.astype(np.float64) * 3
    spread = np.sqrt(features.var(axis=0).mean())
    parts = [entropy(features[labels == label], min(width, 47), spread, 1e-6) for label in range(3)]
    expected = np.average(parts, weights=[30, 15, 2])
    assert evaluate("tmi", features, labels).value == pytest.approx(expected, rel=1e-9)


def test_public_code_has_a_floor_of_one_and_divides_twice() -> None:
    features, labels = blobs(n=60, d=5)
    features = features.astype(np.float64)
    parts = [entropy(features[labels == label], 5, 1.0, 1.0) for label in range(4)]
    assert public_code.tmi(features, labels) == pytest.approx(sum(0.25 * part for part in parts) / 4, rel=1e-9)
    assert public_code.tmi(features * 0.01, labels) == pytest.approx((digamma(15) - digamma(3) + 5 * np.log(2)) / 4)
    ours = [evaluate("tmi", one, labels).value for one in (features, features * 0.01)]
    assert ours[0] == pytest.approx(ours[1], rel=1e-9)


def test_estimates_the_entropy_of_a_gaussian() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(4000) % 2
    features = rng.normal(size=(4000, 2)) + 3 * labels[:, None]
    spread = np.sqrt(features.var(axis=0).mean())
    value = evaluate("tmi", features, labels, options={"rows_per_class": 2000}).value
    assert value == pytest.approx(np.log(2 * np.pi * np.e) - 2 * np.log(spread), abs=0.05)


def test_some_rows_of_a_class_stand_for_all() -> None:
    features, labels = blobs(n=1200, d=3, gap=1.0)
    values = [evaluate("tmi", features, labels, options={"rows_per_class": rows}).value for rows in (300, 75)]
    assert values[1] != values[0]
    assert values[1] == pytest.approx(values[0], abs=0.2)


def test_classes_that_spread_more_score_higher() -> None:
    values = [evaluate("tmi", *blobs(n=300, gap=gap)).value for gap in (0.2, 1.0, 3.0)]
    assert values[0] > values[1] > values[2]


def test_a_class_with_two_rows_is_needed() -> None:
    with pytest.raises(ScoreError, match="each of 20 classes has one; add images"):
        evaluate("tmi", blobs(n=20)[0], np.arange(20))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"neighbours": 0}, "neighbours: must be greater than or equal to 1"),
        ({"floor": 0.0}, "floor: must be greater than 0"),
        ({"rows_per_class": 3}, "rows_per_class is 3; it must be above neighbours, 3"),
        ({"rows_a_class": 3}, "rows_per_class is 3"),
        ({"seed": -1}, "seed: must be greater than or equal to 0"),
    ],
)
def test_options_out_of_range_are_errors(options: dict[str, float], said: str) -> None:
    with pytest.raises(ParamsError, match=f"score 'tmi' options: {said}"):
        make("tmi", options)
