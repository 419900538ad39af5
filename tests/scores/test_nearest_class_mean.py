"""Nearest class mean against distances computed one by one."""

import numpy as np
import pytest

from itm.core.errors import ParamsError
from itm.scores import Splitting, canonical, evaluate, make
from itm.scores.library.nearest_class_mean import NearestClassMean
from tests.scores.samples import blobs


def predicted_one_by_one(train: np.ndarray, labels: np.ndarray, test: np.ndarray) -> list[int]:
    """Return for each test row the class whose mean has the smallest distance, by loops."""
    means = {
        int(c): np.mean([row for row, label in zip(train, labels, strict=True) if label == c], axis=0) for c in set(labels)
    }
    return [min(means, key=lambda c: np.linalg.norm(row - means[c])) for row in test]


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize(("n", "width"), [(150, 12), (40, 90)])
def test_predicts_the_class_with_the_nearest_mean(n: int, width: int, offset: float) -> None:
    features, labels = blobs(n=n, d=width, gap=0.4)
    features = features.astype(np.float64)
    sample = canonical(features + offset, labels)
    folds = Splitting(repeats=2).of(sample.labels)
    rows, wrong = sample.features - offset, 0
    for fold, found in zip(folds, NearestClassMean().predict(sample, folds), strict=True):
        expected = predicted_one_by_one(rows[fold.train], sample.labels[fold.train], rows[fold.test])
        assert found.tolist() == expected
        wrong += int((found != sample.labels[fold.test]).sum())
    assert wrong  # classes overlap: equal means more than all correct


def test_blocks_of_rows_give_what_all_rows_at_once_give(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = blobs(gap=0.4)
    whole = evaluate("nearest_class_mean", features, labels)
    monkeypatch.setattr("itm.scores.library.nearest_class_mean.BLOCK", 7 * features.shape[1])
    assert evaluate("nearest_class_mean", features, labels) == whole


def test_a_class_without_training_rows_is_never_predicted() -> None:
    features, labels = blobs(n=100, gap=6.0)
    sample = canonical(np.r_[features, -features[:1]], np.r_[labels, 9])
    (lone,) = np.flatnonzero(np.bincount(sample.labels)[sample.labels] == 1)
    folds = Splitting().of(sample.labels)
    for fold, found in zip(folds, NearestClassMean().predict(sample, folds), strict=True):
        right = found == sample.labels[fold.test]
        assert right.sum() == len(right) - (lone in fold.test)
        assert sample.labels[lone] not in found


@pytest.mark.parametrize("value", [1.0, 0.1])
def test_constant_features_predict_the_most_frequent_class(value: float) -> None:
    labels = np.repeat(np.arange(4), [10, 70, 10, 10])
    result = evaluate("nearest_class_mean", np.full((100, 3), value), labels)
    assert result.value == result.details["baseline"] == pytest.approx(0.7)


def test_an_unknown_metric_is_an_error() -> None:
    with pytest.raises(ParamsError, match="score 'nearest_class_mean' options: metric: must be one of 'auto', 'accuracy', "):
        make("nearest_class_mean", {"metric": "best"})
