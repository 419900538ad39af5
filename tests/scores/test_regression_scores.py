"""The three scores for numeric targets, against references that are written another way."""

import numpy as np
import pytest
from scipy import optimize, stats
from sklearn.linear_model import RidgeCV
from sklearn.neighbors import KNeighborsRegressor

from itm.core.errors import ScoreError
from itm.kinds.metrics import r2
from itm.scores import Splitting, canonical, evaluate, get, names

KIND = "regression"


def numbers(rows: int = 90, width: int = 8, noise: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Return embeddings and numbers that depend on them, far from zero."""
    rng = np.random.default_rng(3)
    features = rng.normal(size=(rows, width)).astype(np.float32)
    return features, 100 + features @ np.linspace(-1, 1, width) + noise * rng.normal(size=rows)


def test_exactly_five_scores_hold() -> None:
    assert {name for name in names() if KIND in get(name).info.kinds} == {"linear_probe", "knn", "logme", "itm", "itm_eta0"}
    with pytest.raises(ScoreError, match="leep does not hold for regression, only for classification"):
        evaluate("leep", *numbers(), kind=KIND)


def test_knn_is_the_weighted_mean_of_the_nearest_by_cosine() -> None:
    features, targets = numbers()
    sample = canonical(features, targets, kind=KIND)
    unit = sample.features / np.linalg.norm(sample.features, axis=1, keepdims=True)
    reference = KNeighborsRegressor(20, metric="cosine", weights=lambda distance: np.exp(-distance / 0.07))
    folds = sample.folds(Splitting())
    fitted = [reference.fit(unit[fold.train], sample.targets[fold.train]).predict(unit[fold.test]) for fold in folds]
    expected = np.mean([r2(found, sample.targets[fold.test]) for found, fold in zip(fitted, folds, strict=True)])
    assert evaluate("knn", features, targets, kind=KIND).value == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("width", [8, 300])
def test_linear_probe_is_ridge_regression_on_standardised_features(width: int) -> None:
    features, targets = numbers(width=width)
    sample = canonical(features, targets, kind=KIND)
    scaled = stats.zscore(sample.features.astype(np.float64), axis=0)
    fitted = []
    for fold in sample.folds(Splitting()):
        ridge = RidgeCV(len(fold.train) * np.logspace(-4, 4, 17), cv=None).fit(scaled[fold.train], sample.targets[fold.train])
        fitted.append(r2(ridge.predict(scaled[fold.test]), sample.targets[fold.test]))
    assert evaluate("linear_probe", features, targets, kind=KIND).value == pytest.approx(np.mean(fitted), abs=1e-6)


def test_logme_is_the_largest_evidence_of_the_standardised_target() -> None:
    features, targets = numbers()
    rows = features.astype(np.float64)
    target = stats.zscore(targets)

    def evidence(logarithms: np.ndarray) -> float:
        """Return the log density of the target under N(0, X X^T / alpha + I / beta), per row."""
        alpha, beta = np.exp(logarithms)
        covariance = rows @ rows.T / alpha + np.eye(len(rows)) / beta
        return float(stats.multivariate_normal(cov=covariance).logpdf(target)) / len(rows)

    found = optimize.minimize(lambda logarithms: -evidence(logarithms), np.zeros(2), method="Nelder-Mead")
    assert evaluate("logme", features, targets, kind=KIND).value == pytest.approx(-found.fun, abs=1e-4)


@pytest.mark.parametrize("score", ["knn", "linear_probe", "logme"])
def test_neither_unit_nor_zero_of_the_target_matters(score: str) -> None:
    features, targets = numbers()
    value = evaluate(score, features, targets, kind=KIND).value
    assert evaluate(score, features, 1000 * targets - 7, kind=KIND).value == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("score", ["knn", "linear_probe", "logme"])
def test_better_embeddings_score_higher(score: str) -> None:
    features, targets = numbers()
    _, noisy = numbers(noise=5)
    assert evaluate(score, features, targets, kind=KIND).value > evaluate(score, features, noisy, kind=KIND).value


@pytest.mark.parametrize("score", ["knn", "linear_probe"])
def test_a_held_out_score_is_r2_beside_the_other_metrics(score: str) -> None:
    found = evaluate(score, *numbers(), kind=KIND)
    assert found.metric == "r2"
    assert found.details.keys() >= {"r2", "mae", "spearman", "baseline"}
    assert found.details["baseline"] < 0.01
    assert evaluate(score, *numbers(), kind=KIND, options={"metric": "spearman"}).value == found.details["spearman"]


def test_embeddings_that_are_all_equal_predict_the_mean() -> None:
    _, targets = numbers()
    for score in ("knn", "linear_probe"):
        assert evaluate(score, np.ones((90, 3)), targets, kind=KIND).value < 0.01
