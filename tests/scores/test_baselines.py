"""kNN and the linear probe against scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from itm.core.errors import ParamsError
from itm.scores import Splitting, make
from itm.scores.library.knn import Knn
from itm.scores.library.linear_probe import LinearProbe
from itm.scores.sample import canonical


def noisy(n: int = 200, d: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Return three overlapping classes."""
    rng = np.random.default_rng(4)
    labels = np.arange(n) % 3
    return rng.normal(size=(n, d)) + 1.2 * np.eye(3, d)[labels], labels


def test_knn_votes_as_scikit_learn_does() -> None:
    data = canonical(*noisy(), None)
    folds = Splitting().of(data.labels)
    reference = KNeighborsClassifier(20, metric="cosine", weights=lambda distance: np.exp(-distance / 0.07))
    for fold, predicted in zip(folds, Knn().predict(data, folds), strict=True):
        reference.fit(data.features[fold.train], data.labels[fold.train])
        np.testing.assert_array_equal(predicted, reference.predict(data.features[fold.test]))


@pytest.mark.parametrize("width", [10, 400])
def test_linear_probe_is_logistic_regression_on_standardised_features(width: int) -> None:
    features, labels = noisy(d=width)
    data = canonical(features, labels, None)
    folds = Splitting().of(data.labels)
    standardised = (data.features - data.features.mean(0)) / data.features.std(0)
    reference = LogisticRegression(C=1.0, tol=1e-8, max_iter=20000)
    for fold, predicted in zip(folds, LinearProbe().predict(data, folds), strict=True):
        reference.fit(standardised[fold.train], data.labels[fold.train])
        likely = np.sort(reference.predict_proba(standardised[fold.test]))
        clear = likely[:, -1] - likely[:, -2] > 0.1
        assert clear.mean() > 0.75
        np.testing.assert_array_equal(predicted[clear], reference.predict(standardised[fold.test])[clear])


@pytest.mark.parametrize(
    ("score", "options", "said"),
    [
        ("knn", {"neighbours": 0}, "neighbours: must be greater than or equal to 1"),
        ("knn", {"temperature": 0}, "temperature: must be greater than 0"),
        ("knn", {"metric": "f1"}, "metric: must be one of 'auto', 'accuracy', 'balanced_accuracy'.* .got 'f1'."),
        ("linear_probe", {"inverse_penalty": -1}, "inverse_penalty: must be greater than 0 .got -1."),
        ("linear_probe", {"metric": "f1"}, "metric: must be one of 'auto', 'accuracy', 'balanced_accuracy'.* .got 'f1'."),
    ],
)
def test_options_out_of_range_are_errors(score: str, options: dict[str, float | str], said: str) -> None:
    with pytest.raises(ParamsError, match=f"score '{score}' options: {said}"):
        make(score, options)
