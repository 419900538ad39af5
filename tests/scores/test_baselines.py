"""kNN and the linear probe against simple facts and scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from itm.core.errors import ParamsError
from itm.scores import Splitting, check_options
from itm.scores.library.knn import KnnOptions, knn
from itm.scores.library.linear_probe import LinearProbeOptions, linear_probe
from itm.scores.sample import canonical


def noisy(n: int = 200, d: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Return three overlapping classes."""
    rng = np.random.default_rng(4)
    labels = np.arange(n) % 3
    return rng.normal(size=(n, d)) + 1.2 * np.eye(3, d)[labels], labels


def test_knn_votes_as_scikit_learn_does() -> None:
    """The weighted vote by cosine equals scikit-learn's with the same weights."""
    data = canonical(*noisy(), None)
    splits = Splitting().of(data.labels)
    reference = KNeighborsClassifier(20, metric="cosine", weights=lambda distance: np.exp(-distance / 0.07))
    for split, voted in zip(splits, knn(data, splits, KnnOptions()), strict=True):
        reference.fit(data.features[split.learn], data.labels[split.learn])
        np.testing.assert_array_equal(voted, reference.predict(data.features[split.judge]))


@pytest.mark.parametrize("width", [10, 400])
def test_linear_probe_is_logistic_regression_on_standardised_features(width: int) -> None:
    """The probe equals scikit-learn's on all features, also where fewer rows than features let it work in their span.

    It stops a little before the optimum, so rows for which the two likeliest classes are about even are left out.
    """
    features, labels = noisy(d=width)
    data = canonical(features, labels, None)
    splits = Splitting().of(data.labels)
    standardised = (data.features - data.features.mean(0)) / data.features.std(0)
    reference = LogisticRegression(C=1.0, tol=1e-8, max_iter=20000)
    for split, predicted in zip(splits, linear_probe(data, splits, LinearProbeOptions()), strict=True):
        reference.fit(standardised[split.learn], data.labels[split.learn])
        likely = np.sort(reference.predict_proba(standardised[split.judge]))
        clear = likely[:, -1] - likely[:, -2] > 0.1
        assert clear.mean() > 0.75
        np.testing.assert_array_equal(predicted[clear], reference.predict(standardised[split.judge])[clear])


@pytest.mark.parametrize(
    ("score", "options"),
    [
        ("knn", {"neighbours": 0}),
        ("knn", {"metric": "f1"}),
        ("linear_probe", {"inverse_penalty": -1}),
        ("linear_probe", {"metric": "f1"}),
    ],
)
def test_impossible_options_are_refused(score: str, options: dict[str, float | str]) -> None:
    """An option out of range is an error that names the score."""
    with pytest.raises(ParamsError, match=score):
        check_options(score, options)
