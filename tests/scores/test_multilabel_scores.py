"""The scores for labels, against references that are written another way."""

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import NearestCentroid

from itm.core.errors import ScoreError
from itm.kinds.metrics import average_precision
from itm.scores import Splitting, canonical, evaluate

KIND = "multilabel"


def labelled(rows: int = 150, width: int = 8, noise: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Return embeddings and four labels that depend on them, from rare to frequent."""
    rng = np.random.default_rng(3)
    features = rng.normal(size=(rows, width)).astype(np.float32)
    outputs = features @ rng.normal(size=(width, 4)) / np.sqrt(width) + noise * rng.normal(size=(rows, 4))
    return features, (outputs > [1.2, 0.5, 0.0, -0.8]).astype(np.uint8)


def test_linear_probe_is_one_logistic_regression_per_label() -> None:
    features, targets = labelled()
    sample = canonical(features, targets, kind=KIND)
    scaled = stats.zscore(sample.features.astype(np.float64), axis=0)
    fitted = []
    for fold in sample.folds(Splitting()):
        probe = OneVsRestClassifier(LogisticRegression(C=1.0, max_iter=5000)).fit(
            scaled[fold.train], sample.targets[fold.train]
        )
        fitted.append(average_precision(probe.predict_proba(scaled[fold.test]), sample.targets[fold.test]))
    assert evaluate("linear_probe", features, targets, kind=KIND).value == pytest.approx(np.mean(fitted), abs=1e-6)


def test_nearest_class_mean_is_that_of_each_label_against_the_rest() -> None:
    features, targets = labelled()
    sample = canonical(features, targets, kind=KIND)
    from itm.scores.library.nearest_class_mean import NearestClassMean

    folds = sample.folds(Splitting())
    for fold, found in zip(folds, NearestClassMean().predict(sample, folds), strict=True):
        rows = sample.features.astype(np.float64)
        for label in range(4):
            nearest = NearestCentroid().fit(rows[fold.train], sample.targets[fold.train, label])
            np.testing.assert_array_equal(found[:, label] > 0.5, nearest.predict(rows[fold.test]).astype(bool))
    assert ((found >= 0) & (found <= 1)).all()


def test_logme_of_labels_that_exclude_each_other_is_that_of_classes() -> None:
    features, _ = labelled()
    classes = np.arange(150) % 3
    ids = [f"{row:03d}" for row in range(150)]
    one_hot = evaluate("logme", features, np.eye(3, dtype=int)[classes], kind=KIND, ids=ids)
    assert one_hot.value == pytest.approx(evaluate("logme", features, classes, ids=ids).value, rel=1e-9)


@pytest.mark.parametrize("score", ["knn", "linear_probe", "logme", "nearest_class_mean"])
def test_better_embeddings_score_higher(score: str) -> None:
    features, targets = labelled()
    _, noisy = labelled(noise=4)
    assert evaluate(score, features, targets, kind=KIND).value > evaluate(score, features, noisy, kind=KIND).value


@pytest.mark.parametrize("score", ["knn", "linear_probe", "nearest_class_mean"])
def test_a_held_out_score_is_average_precision_with_that_of_each_label(score: str) -> None:
    found = evaluate(score, *labelled(), kind=KIND)
    assert found.metric == "average_precision"
    each = [found.details[f"average_precision/{label}"] for label in range(4)]
    assert found.value == found.details["average_precision"] == pytest.approx(np.mean(each), abs=0.02)
    assert 0 < found.details["baseline"] < found.value
    assert evaluate(score, *labelled(), kind=KIND, options={"metric": "micro_f1"}).value == found.details["micro_f1"]


@pytest.mark.parametrize("score", ["knn", "linear_probe", "logme", "nearest_class_mean"])
def test_a_label_that_training_rows_lack_or_all_have_is_no_error(score: str) -> None:
    features, targets = labelled()
    rare = np.zeros((150, 2), dtype=np.uint8)
    rare[0, 0], rare[1:, 1] = 1, 1
    found = evaluate(score, features, np.concatenate([targets, rare], axis=1), kind=KIND)
    assert np.isfinite([found.value, *found.fold_values]).all()


@pytest.mark.parametrize("score", ["knn", "linear_probe", "nearest_class_mean"])
def test_embeddings_that_are_all_equal_are_the_baseline(score: str) -> None:
    _, targets = labelled()
    found = evaluate(score, np.ones((150, 3)), targets, kind=KIND)
    assert found.value == pytest.approx(found.details["baseline"], abs=0.01)


def test_wrong_targets_are_named() -> None:
    features, targets = labelled()
    for wrong, said in (
        (targets[:, 0], r"targets have shape \(150,\)"),
        (targets[:9], r"targets have shape \(9, 4\)"),
        (2 * targets, "targets must be 0 or 1"),
        (np.ones((150, 2)), "every image has the same labels"),
    ):
        with pytest.raises(ScoreError, match=said):
            evaluate("knn", features, wrong, kind=KIND)
