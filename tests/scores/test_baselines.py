"""kNN and the linear probe against simple facts and scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from itm.errors import ParamsError
from itm.scores import check_options
from itm.scores._order import canonical
from itm.scores.contract import _split
from itm.scores.knn import KnnOptions, knn
from itm.scores.linear_probe import LinearProbeOptions, linear_probe


def noisy(n: int = 200, d: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Return three overlapping classes."""
    rng = np.random.default_rng(4)
    labels = np.arange(n) % 3
    return rng.normal(size=(n, d)) + 1.2 * np.eye(3, d)[labels], labels


def test_knn_votes_as_scikit_learn_does() -> None:
    """The weighted vote by cosine equals scikit-learn's with the same weights."""
    data = canonical(*noisy(), None)
    split = _split(len(data.labels), 0)
    reference = KNeighborsClassifier(20, metric="cosine", weights=lambda distance: np.exp(-distance / 0.07))
    reference.fit(data.features[split.learn], data.labels[split.learn])
    expected = reference.score(data.features[split.judge], data.labels[split.judge])
    assert knn(data, [split], KnnOptions()) == [pytest.approx(expected)]


@pytest.mark.parametrize("width", [10, 400])
def test_linear_probe_is_logistic_regression_on_standardised_features(width: int) -> None:
    """The probe equals scikit-learn's on all features, also where fewer rows than features let it work in their span."""
    features, labels = noisy(d=width)
    data = canonical(features, labels, None)
    split = _split(len(data.labels), 0)
    standardised = (data.features - data.features.mean(0)) / data.features.std(0)
    reference = LogisticRegression(C=1.0, tol=1e-8, max_iter=20000).fit(standardised[split.learn], data.labels[split.learn])
    expected = reference.score(standardised[split.judge], data.labels[split.judge])
    assert linear_probe(data, [split], LinearProbeOptions()) == [pytest.approx(expected, abs=1 / len(split.judge))]


@pytest.mark.parametrize(("score", "options"), [("knn", {"neighbours": 0}), ("linear_probe", {"inverse_penalty": -1})])
def test_impossible_options_are_refused(score: str, options: dict[str, float]) -> None:
    """An option out of range is an error that names the score."""
    with pytest.raises(ParamsError, match=score):
        check_options(score, options)
