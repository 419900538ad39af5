"""ITM on extreme data: few rows, many classes, odd widths, uninformative features."""

from typing import Any

import numpy as np
import pytest

from itm.scores import Evaluation, Splitting, evaluate

pytestmark = pytest.mark.slow

HOLDOUT = Splitting("holdout")
LESS = {"steps": 200, "evaluate_every": 50}
SHORT = {"steps": 40, "evaluate_every": 20}


def blobs(rows: int, width: int, classes: int, gap: float = 3.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return Gaussian classes with centres `gap` standard deviations times the square root of 2 apart."""
    rng = np.random.default_rng(seed)
    labels = np.arange(rows) % classes
    centres = rng.normal(size=(classes, width))
    centres *= gap / np.linalg.norm(centres, axis=1, keepdims=True)
    return (rng.normal(size=(rows, width)) + centres[labels]).astype(np.float32), labels


def score(features: np.ndarray, labels: np.ndarray, splitting: Splitting = HOLDOUT, **options: Any) -> Evaluation:
    """Return the score of rows in their order."""
    ids = [f"{row:05d}" for row in range(len(labels))]
    result = evaluate("itm", features, labels, ids=ids, options=LESS | options, splitting=splitting)
    numbers = [result.value, *result.fold_values, *result.details.values()]
    assert np.isfinite(numbers).all()
    assert min(numbers) >= 0
    assert max(numbers) <= 1
    return result


def test_two_classes() -> None:
    assert score(*blobs(400, 16, 2, gap=4.0), Splitting()).value > 0.95
    assert score(*blobs(400, 16, 2, gap=0.0), Splitting()).value < 0.65


def test_a_thousand_classes_of_three_images() -> None:
    features, labels = blobs(3000, 64, 1000, gap=12.0)
    result = score(features, labels, **SHORT, learning_rate=0.02)
    assert result.value > 0.5
    assert result.details["baseline"] < 0.01


def test_a_class_of_one_image() -> None:
    features, labels = blobs(101, 16, 4, gap=8.0)
    labels[100] = 4
    result = score(features, labels, Splitting(repeats=2))
    missed = [value for value in result.fold_values if value < 1]
    assert len(missed) == 2
    assert all(value in (20 / 21, 19 / 20) for value in missed)
    assert result.details["balanced_accuracy"] == pytest.approx(1 - 2 / 10 / 5)  # one of five classes, in two of ten folds


def test_constant_features_add_nothing() -> None:
    features, labels = blobs(400, 16, 4, gap=2.5)
    wide = np.full((400, 56), 7.0, dtype=np.float32)
    wide[:, 20:36] = features
    own = score(features, labels, Splitting()).value
    assert 0.6 < own < 0.98
    assert score(wide, labels, Splitting()).value == pytest.approx(own, abs=0.03)


def test_features_that_stand_several_times() -> None:
    features, labels = blobs(400, 16, 4, gap=2.5)
    own = score(features, labels, Splitting()).value
    assert score(np.repeat(features, 3, axis=1), labels, Splitting()).value == pytest.approx(own, abs=0.03)


@pytest.mark.parametrize("features", [np.ones((100, 8)), np.zeros((100, 8))], ids=["ones", "zeros"])
def test_constant_features_predict_the_most_frequent_class(features: np.ndarray) -> None:
    labels = np.repeat([0, 1, 2], [60, 25, 15])
    result = score(features, labels, Splitting())
    assert result.value == result.details["baseline"] == pytest.approx(0.6)
    assert result.details["balanced_accuracy"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(("width", "least"), [(1, 0.4), (2, 0.8), (16, 0.9), (4096, 0.9)])
def test_narrow_and_wide_embeddings(width: int, least: float) -> None:
    features, labels = blobs(100, width, 4, gap=6.0 if width < 100 else 24.0)
    assert score(features, labels, Splitting(folds=3)).value > least


@pytest.mark.parametrize("batch_size", [1, 47, 48, 49, 256])
def test_rows_that_fill_no_whole_batch(batch_size: int) -> None:
    assert score(*blobs(60, 12, 3, gap=8.0), batch_size=batch_size).value > 0.8


def test_fewer_rows_than_features() -> None:
    assert score(*blobs(30, 300, 3, gap=20.0), Splitting()).value > 0.9
    assert score(*blobs(30, 300, 3, gap=0.0), Splitting()).value < 0.65


def test_accuracy_credits_a_guess_for_uneven_classes() -> None:
    labels, whole = np.repeat([0, 1], [970, 30]), {"steps": 500, "evaluate_every": 100}
    noise = np.random.default_rng(0).normal(size=(1000, 16)).astype(np.float32)
    apart = noise + 6 * labels[:, None].astype(np.float32)
    nothing, separated = (score(features, labels, Splitting(), **whole) for features in (noise, apart))
    assert nothing.value == nothing.details["accuracy"] == pytest.approx(nothing.details["baseline"], abs=0.01)
    assert nothing.details["baseline"] == pytest.approx(0.97)
    assert nothing.details["balanced_accuracy"] == pytest.approx(0.5, abs=0.05)
    assert separated.details["balanced_accuracy"] > 0.95
    assert abs(separated.value - nothing.value) < 0.05
    balanced = [score(features, labels, Splitting(), metric="balanced_accuracy", **whole) for features in (noise, apart)]
    for result in balanced:
        assert result.value == result.details["balanced_accuracy"] == pytest.approx(np.mean(result.fold_values))
    assert balanced[0].value < 0.6
    assert balanced[1].value > 0.95


def test_five_rows_of_two_classes() -> None:
    features = np.array([[0.0, 1], [0.1, 1], [0.2, 1], [9.0, 1], [9.1, 1]])
    result = score(features, np.array([0, 0, 0, 1, 1]), Splitting())
    assert set(result.fold_values) <= {0.0, 1.0}
    assert len(result.fold_values) == 5
    assert result.value >= 0.6
    assert result.details["accuracy"] == result.details["balanced_accuracy"] == result.value


ODD: dict[str, tuple[np.ndarray, np.ndarray]] = {
    "constant": (np.ones((40, 6)), np.arange(40) % 2),
    "one feature": (np.arange(40.0)[:, None], np.arange(40) // 20),
    "one row far out": (np.r_[blobs(39, 6, 3)[0], np.full((1, 6), 1e8)], np.arange(40) % 3),
    "equal rows of other classes": (np.repeat(blobs(10, 6, 2)[0], 4, axis=0), np.arange(40) % 4),
    "as many classes as rows": (blobs(40, 6, 2)[0], np.arange(40)),
    "a class of one image": (blobs(40, 6, 2)[0], np.r_[np.zeros(39, int), 1]),
    "five rows": (blobs(5, 6, 2)[0], np.arange(5) % 2),
    "wider than rows": (blobs(12, 300, 2)[0], np.arange(12) % 2),
}
SETTINGS: list[dict[str, Any]] = [
    {"recursions": 100, "eta": 1.0, "mapping_bias": True},
    {"inner_loss": "cross_entropy", "recursions": 20, "eta": 1.0},
    {"inner_loss": "mae", "recursions": 20, "eta": 1.0, "mapping_bias": True},
    {"centres": "random", "centre_dimensions": 3, "centre_offset": True, "recursions": 20},
    {"centres": "principal_axes", "centre_offset": True, "recursions": 20},
    {"hidden_blocks": 2, "batch_size": 1, "recursions": 3},
    {"learning_rate": 1.0, "batch_size": 3},
]


@pytest.mark.parametrize("data", ODD)
@pytest.mark.parametrize("options", SETTINGS, ids=range(len(SETTINGS)))
def test_odd_data_under_any_setting_have_a_score(data: str, options: dict[str, Any]) -> None:
    assert 0 <= score(*ODD[data], Splitting(), **SHORT, **options).value <= 1
