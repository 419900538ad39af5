"""Nearest class mean against distances computed one by one."""

import numpy as np
import pytest

from itm.core.errors import ParamsError
from itm.scores import Splitting, canonical, check_options, evaluate, get
from tests.scores.samples import blobs


def named_one_by_one(learnt: np.ndarray, labels: np.ndarray, judged: np.ndarray) -> list[int]:
    """Return for each judged row the class whose mean has the least distance, by loops."""
    means = {
        int(c): np.mean([row for row, label in zip(learnt, labels, strict=True) if label == c], axis=0) for c in set(labels)
    }
    return [min(means, key=lambda c: np.linalg.norm(row - means[c])) for row in judged]


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize(("n", "width"), [(150, 12), (40, 90)])
def test_names_the_class_with_the_nearest_mean(n: int, width: int, offset: float) -> None:
    """On every split of few rows or many, near zero or far from it, the named classes are those of plain loops."""
    features, labels = blobs(n=n, d=width, gap=0.4)
    features = features.astype(np.float64)
    sample = canonical(features + offset, labels)
    splits = Splitting(seeds=2).of(sample.labels)
    named = get("nearest_class_mean").function
    assert named is not None
    rows, wrong = sample.features - offset, 0
    for split, found in zip(splits, named(sample, splits, check_options("nearest_class_mean", None)), strict=True):
        expected = named_one_by_one(rows[split.learn], sample.labels[split.learn], rows[split.judge])
        assert found.tolist() == expected
        wrong += int((found != sample.labels[split.judge]).sum())
    assert wrong  # classes overlap, so that equal means more than all right


def test_blocks_of_rows_give_what_all_rows_at_once_give(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading seven rows at a time changes nothing."""
    features, labels = blobs(gap=0.4)
    whole = evaluate("nearest_class_mean", features, labels)
    monkeypatch.setattr("itm.scores.library.nearest_class_mean.BLOCK", 7 * features.shape[1])
    assert evaluate("nearest_class_mean", features, labels) == whole


def test_a_class_that_is_not_learnt_from_is_never_named() -> None:
    """A class with one row is named where that row is learnt from only, by none but its like."""
    features, labels = blobs(n=100, gap=6.0)
    sample = canonical(np.r_[features, -features[:1]], np.r_[labels, 9])
    (lone,) = np.flatnonzero(np.bincount(sample.labels)[sample.labels] == 1)
    splits = Splitting().of(sample.labels)
    named = get("nearest_class_mean").function
    assert named is not None
    for split, found in zip(splits, named(sample, splits, check_options("nearest_class_mean", None)), strict=True):
        right = found == sample.labels[split.judge]
        assert right.sum() == len(right) - (lone in split.judge)
        assert sample.labels[lone] not in found


@pytest.mark.parametrize("value", [1.0, 0.1])
def test_features_that_say_nothing_name_the_commonest_class(value: float) -> None:
    """Where all means are one, the class with the most rows is named, also if the features are no whole numbers."""
    labels = np.repeat(np.arange(4), [10, 70, 10, 10])
    result = evaluate("nearest_class_mean", np.full((100, 3), value), labels)
    assert result.value == result.details["majority_rate"] == pytest.approx(0.7)


def test_an_unknown_metric_is_refused() -> None:
    """A metric there is none of is an error that names those there are."""
    with pytest.raises(ParamsError, match="nearest_class_mean: metric is 'best'; it is 'accuracy' or 'balanced_accuracy'"):
        check_options("nearest_class_mean", {"metric": "best"})
