"""Scores under a kind of task that is not classification, without a line about it in `itm/scores`."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pytest

from itm.core.errors import ParamsError, ScoreError
from itm.kinds import KINDS
from itm.kinds.classification import Classification
from itm.kinds.metrics import Metric
from itm.scores import Fold, ProbeOptions, ProbeScore, Sample, ScoreInfo, StatisticScore, canonical, evaluate, make
from itm.scores import registry as _registry
from tests.scores.samples import blobs, in_order


def explained(predicted: np.ndarray, actual: np.ndarray) -> float:
    """Return the share of the variance that predictions explain."""
    return float(1 - ((predicted - actual) ** 2).sum() / ((actual - actual.mean()) ** 2).sum())


class Numbers(Classification):
    """A kind with numbers as targets; what is not needed here is that of classification."""

    name: ClassVar[str] = "numbers"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("explained", "explained", explained, highest=1.0),
        Metric("error", "error", lambda predicted, actual: float(abs(predicted - actual).mean()), higher_is_better=False),
    )

    def numbers(self, targets: np.ndarray) -> np.ndarray:
        return targets

    def strata(self, targets: np.ndarray) -> np.ndarray:
        return np.searchsorted(np.quantile(targets, [0.25, 0.5, 0.75]), targets)

    def baseline(self, train: np.ndarray, test: np.ndarray) -> np.ndarray:
        return np.full(len(test), train.mean())

    def problem(self, targets: np.ndarray) -> str:
        return "" if np.ptp(targets) else f"every target is {targets[0]}."

    def labels(self, targets: np.ndarray) -> np.ndarray:
        return np.zeros(len(targets), dtype=np.int64)

    def canonical(self, targets: np.ndarray) -> np.ndarray:
        return targets

    def renumber(self, targets: np.ndarray) -> np.ndarray:
        return targets


class Ridge(ProbeScore[ProbeOptions]):
    """Ridge regression."""

    info: ClassVar[ScoreInfo] = ScoreInfo("ridge", "A test.", "A test.", "none", "none", kinds=("numbers",))

    def predict(self, sample: Sample, folds: Sequence[Fold]) -> list[np.ndarray]:
        rows = np.c_[sample.features, np.ones(len(sample.rows))].astype(np.float64)
        found = []
        for fold in folds:
            x = rows[fold.train]
            weights = np.linalg.solve(x.T @ x + 0.1 * np.eye(x.shape[1]), x.T @ sample.targets[fold.train])
            found.append(rows[fold.test] @ weights)
        return found


class Spread(StatisticScore[ProbeOptions]):
    """The number of classes of a sample."""

    info: ClassVar[ScoreInfo] = ScoreInfo("spread", "A test.", "A test.", "none", "none", kinds=("numbers", "classification"))

    def value(self, sample: Sample) -> float:
        return float(sample.statistics.classes)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register the kind and its scores."""
    monkeypatch.setitem(KINDS, "numbers", Numbers())
    for score in (Ridge, Spread):
        monkeypatch.setitem(_registry._registry, score.info.name, score)


def regression() -> tuple[np.ndarray, np.ndarray]:
    """Return embeddings and a number that depends on them."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(80, 6))
    return features, features @ np.arange(6) + 0.5 * rng.normal(size=80)


def test_metrics_baseline_and_bounds_are_those_of_the_kind() -> None:
    result = evaluate("ridge", *regression(), kind="numbers")
    assert result.metric == "explained"
    assert result.details.keys() == {"explained", "error", "baseline"}
    assert 0.9 < result.value == result.details["explained"] < 1
    assert 0 < result.details["error"] < 1
    assert -0.5 < result.details["baseline"] < 0.01


def test_neither_order_nor_scale_of_equal_rows_matters() -> None:
    features, targets = regression()
    features = np.repeat(features[:40], 2, axis=0)
    order = np.random.default_rng(1).permutation(80)
    one, other = canonical(features, targets, kind="numbers"), canonical(features[order], targets[order], kind="numbers")
    np.testing.assert_array_equal(one.targets, other.targets)
    np.testing.assert_array_equal(one.features, other.features)


def test_folds_have_equal_shares_of_every_stratum() -> None:
    features, targets = regression()
    sample = canonical(features, targets, in_order(targets), kind="numbers")
    from itm.scores import Splitting

    counts = [np.bincount(sample.kind.strata(targets)[fold.test], minlength=4) for fold in sample.folds(Splitting())]
    assert np.ptp(counts, axis=0).max() <= 1


def test_statistics_of_a_kind_without_classes_have_one() -> None:
    assert evaluate("spread", *regression(), kind="numbers").value == 1
    assert evaluate("spread", *blobs()).value == 4


def test_a_score_for_another_kind_names_the_kinds_and_scores_that_hold() -> None:
    with pytest.raises(
        ScoreError, match="leep does not hold for numbers, only for classification; scores for numbers: ridge, spread"
    ):
        evaluate("leep", *regression(), kind="numbers")
    with pytest.raises(ScoreError, match="ridge does not hold for classification, only for numbers"):
        evaluate("ridge", *blobs())


def test_a_metric_must_be_one_of_the_kind_that_is_higher_for_better_predictions() -> None:
    for metric in ("error", "accuracy"):
        with pytest.raises(ParamsError, match=r"score 'ridge' options: metric: must be one of 'auto', 'explained' \(got"):
            make("ridge", {"metric": metric})
    assert evaluate("ridge", *regression(), kind="numbers", options={"metric": "explained"}).metric == "explained"


def test_a_metric_of_another_kind_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ridge, "info", ScoreInfo("ridge", "", "", "", "", kinds=("numbers", "classification")))
    with pytest.raises(ScoreError, match="ridge: numbers has no metric 'accuracy'; take 'auto' or one of 'explained'"):
        evaluate("ridge", *regression(), kind="numbers", options={"metric": "accuracy"})


def test_unknown_kinds_and_targets_without_a_score_are_errors() -> None:
    features, targets = regression()
    with pytest.raises(ParamsError, match="there is no task 'number'; did you mean 'numbers'"):
        evaluate("ridge", features, targets, kind="number")
    with pytest.raises(ScoreError, match=r"every target is 0\.0"):
        evaluate("ridge", features, 0 * targets, kind="numbers")
