"""The prior from earlier fine-tuning, on a synthetic history."""

import numpy as np
import pytest

from benchmarks.history_prior import DataFacts, History, HistoryPrior
from benchmarks.history_scale import odds_above_chance
from itm.core.errors import DataError
from tests.benchmark.histories import DATA, FACTS, MODELS, accuracies, history

NATURAL = DataFacts(10, {"kind": "natural"})


def left_out(column: int, values: np.ndarray | None = None) -> HistoryPrior:
    values = accuracies() if values is None else values
    keep = [number for number in range(len(DATA)) if number != column]
    return HistoryPrior.fit(History(MODELS, tuple(DATA[number] for number in keep), values[:, keep]), FACTS)


def test_the_records_order_the_models_of_a_new_data_set_of_the_same_kind() -> None:
    for column, own in enumerate(DATA):
        mean, _ = left_out(column).predict(MODELS, own)
        assert np.corrcoef(mean, odds_above_chance(accuracies()[:, column], 10))[0, 1] > 0.85


def test_data_sets_of_the_same_kind_count_more() -> None:
    prior = HistoryPrior.fit(history(), FACTS)
    natural, structured = (
        prior.predict(["conv7", "vit7"], DataFacts(10, {"kind": kind}))[0] for kind in ("natural", "structured")
    )
    assert natural[0] - natural[1] > 0 > structured[0] - structured[1]


def test_the_covariance_is_positive_definite_and_larger_between_models_of_a_family() -> None:
    _, covariance = HistoryPrior.fit(history(), FACTS).predict(MODELS, NATURAL)
    assert np.allclose(covariance, covariance.T)
    assert np.linalg.eigvalsh(covariance).min() > 0
    assert covariance[7, 6] > covariance[7, 15]


def test_most_left_out_accuracies_are_within_two_standard_deviations() -> None:
    inside = []
    for column, own in enumerate(DATA):
        mean, covariance = left_out(column).predict(MODELS, own)
        error = odds_above_chance(accuracies()[:, column], 10) - mean
        inside.append(np.abs(error) < 2 * np.sqrt(np.diag(covariance)))
    assert np.mean(inside) > 0.9


def test_gaps_change_the_expectation_little() -> None:
    values = accuracies()
    values[np.random.default_rng(1).random(values.shape) < 0.3] = np.nan
    mean, _ = HistoryPrior.fit(history(values), FACTS).predict(MODELS, NATURAL)
    complete, _ = HistoryPrior.fit(history(), FACTS).predict(MODELS, NATURAL)
    assert np.corrcoef(mean, complete)[0, 1] > 0.95


def test_a_data_set_on_which_only_the_better_models_were_run_does_not_lower_them() -> None:
    values = accuracies()
    values[:5, 0] = np.nan  # the smallest of the family that natural sets prefer
    values[8:, 0] = np.nan  # and all of the other
    mean, _ = HistoryPrior.fit(history(values), FACTS).predict(MODELS, NATURAL)
    assert mean[:8].mean() > mean[8:].mean()
    assert mean[5:8].mean() > mean[:5].mean()


def test_a_model_without_record_is_expected_as_its_family_is_and_with_less_certainty() -> None:
    values = accuracies()
    values[7] = np.nan
    mean, covariance = HistoryPrior.fit(history(values), FACTS).predict(MODELS, NATURAL)
    assert mean[7] > mean[8:].mean()
    assert covariance[7, 7] > covariance[6, 6]


def test_a_model_that_the_history_does_not_have_is_expected_by_its_facts() -> None:
    facts = FACTS | {"new": {"family": "conv", "parameters": 64e6}}
    mean, _ = HistoryPrior.fit(history(), facts).predict(["new", "unknown", "vit7", "conv7"], NATURAL)
    assert mean[0] > mean[1]
    assert mean[0] > mean[2]


def test_one_data_set_gives_its_order_and_an_uncertain_level() -> None:
    one = History(MODELS, DATA[:1], accuracies()[:, :1])
    mean, covariance = HistoryPrior.fit(one).predict(MODELS, NATURAL)
    assert np.argmax(mean) == np.argmax(accuracies()[:, 0])
    assert np.isfinite(covariance).all()
    assert covariance[0, 0] > 1


def test_one_accuracy_is_enough() -> None:
    mean, covariance = HistoryPrior.fit(History(("one",), (DataFacts(),), np.array([[0.8]]))).predict(["one", "two"])
    assert np.isfinite(mean).all()
    assert np.linalg.eigvalsh(covariance).min() > 0


def test_a_failed_run_far_below_chance_counts_as_one_just_below_the_others() -> None:
    bad, worse = accuracies(), accuracies()
    bad[3, 2], worse[3, 2] = 0.15, 0.0
    first, second = (HistoryPrior.fit(history(values), FACTS).predict(MODELS, NATURAL)[0] for values in (bad, worse))
    assert np.allclose(first, second)


def test_data_sets_without_accuracy_are_left_out() -> None:
    values = accuracies()
    values[:, 4] = np.nan
    keep = [number for number in range(8) if number != 4]
    fewer = History(MODELS, tuple(DATA[number] for number in keep), values[:, keep])
    means = [HistoryPrior.fit(own, FACTS).predict(MODELS, NATURAL)[0] for own in (history(values), fewer)]
    assert np.allclose(*means)


def test_without_classes_the_scale_is_log_odds() -> None:
    assert odds_above_chance(np.array([0.8]), None) == pytest.approx(np.log(4))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full((16, 8), np.nan), "has no accuracy"),
        (accuracies() * 100, "divide percent by 100"),
        (accuracies()[:, :3], "16 models and 8 data sets"),
    ],
)
def test_a_history_that_cannot_be_used_is_refused(values: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        HistoryPrior.fit(history(values))


def test_a_repeated_model_is_refused() -> None:
    with pytest.raises(DataError, match="the model 'a' twice"):
        History(("a", "a"), (DataFacts(),), np.full((2, 1), 0.5))
