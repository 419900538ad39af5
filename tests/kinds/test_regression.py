"""Regression: numbers as targets, their bins, the baseline, and the sentence on the first model."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from itm.core.errors import DataError
from itm.core.types import TargetSpec
from itm.kinds import get_kind
from itm.kinds.metrics import mean_absolute_error, r2, spearman

KIND = get_kind("regression")
SPEC = TargetSpec("regression", facts={"lowest": 3.25, "highest": 6.5})


@pytest.mark.parametrize(("text", "canonical"), [("3", "3.0"), (" 3.250 ", "3.25"), ("-1e-3", "-0.001"), ("0.1", "0.1")])
def test_a_number_has_one_spelling(text: str, canonical: str) -> None:
    assert KIND.read(text) == canonical


@pytest.mark.parametrize("text", ["red", "3,5", "inf", "-Infinity", "1e200", "1e999"])
def test_what_is_not_a_usable_number_is_rejected(text: str) -> None:
    with pytest.raises(DataError, match=f"^'{text}' is not a (finite )?number"):
        KIND.read(text)


@pytest.mark.parametrize("text", ["", "nan", "None", " NA "])
def test_a_missing_number_is_named(text: str) -> None:
    with pytest.raises(DataError, match=r"^no target$"):
        KIND.read(text)


def test_a_decimal_comma_gets_a_hint() -> None:
    with pytest.raises(DataError, match="'3,5' is not a number; write a decimal point"):
        KIND.read("3,5")


def test_the_range_is_the_specification() -> None:
    spec = KIND.specify(["6.5", "3.25", "4.0"])
    assert spec == SPEC
    assert KIND.describe(spec) == "numbers from 3.25 to 6.5"
    assert KIND.describe(KIND.specify([])) == "no targets"
    np.testing.assert_array_equal(KIND.encode(["6.5", "4.0"], spec), [6.5, 4.0])


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=80).map(np.array))
def test_bins_follow_the_order_of_the_numbers(values: np.ndarray) -> None:
    strata = KIND.strata(values)
    order = np.argsort(values)
    assert (np.diff(strata[order]) >= 0).all()
    assert all(len(set(strata[values == value])) == 1 for value in values)
    assert strata.min() >= 0


def test_distinct_numbers_fill_ten_bins_evenly() -> None:
    assert np.bincount(KIND.strata(np.random.default_rng(0).permutation(200) / 7)).tolist() == [20] * 10


def test_too_few_or_equal_numbers_are_refused() -> None:
    assert KIND.check(np.arange(4.0), SPEC, [None] * 4) == ["there are 4 usable images; regression needs 5 or more"]
    assert KIND.check(np.full(9, 2.5), SPEC, [None] * 9) == ["every target is 2.5; a ranking needs targets that differ"]
    assert KIND.check(np.arange(9.0), SPEC, [None] * 9) == []
    assert KIND.problem(np.array(["a"])) == KIND.problem(np.array([1, np.nan])) == "targets must be finite numbers."
    assert KIND.problem(np.full(9, 2.5)) == "every target is 2.5; a score needs targets that differ."
    assert KIND.problem(np.arange(9.0)) == ""


def test_the_baseline_explains_nothing() -> None:
    targets = np.array([1.0, 2.0, 6.0])
    predicted = KIND.baseline(targets, targets)
    assert predicted.tolist() == [3.0] * 3
    assert [metric.value(predicted, targets) for metric in KIND.metrics] == [0.0, 2.0, 0.0]


def test_metrics_on_predictions_worked_out_by_hand() -> None:
    predicted, actual = np.array([1.0, 2.0, 5.0]), np.array([1.0, 3.0, 5.0])
    assert r2(predicted, actual) == pytest.approx(1 - 1 / 8)
    assert mean_absolute_error(predicted, actual) == pytest.approx(1 / 3)
    assert spearman(predicted, actual) == pytest.approx(1)
    assert spearman(-predicted, actual) == pytest.approx(-1)


def test_metrics_of_targets_that_are_all_equal_are_finite() -> None:
    equal = np.full(3, 4.0)
    assert (r2(equal, equal), r2(equal + 1, equal), spearman(np.arange(3.0), equal)) == (1, 0, 0)


def test_a_head_learns_a_linear_target() -> None:
    torch.manual_seed(0)
    features, head = torch.randn(200, 3), KIND.head(3, SPEC)
    target = (features @ torch.tensor([1.0, -2.0, 0.5]) + 3).double().numpy()
    optimiser = torch.optim.LBFGS(head.parameters(), max_iter=50)

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = KIND.loss(head(features), torch.from_numpy(target))
        loss.backward()
        return loss

    optimiser.step(closure)
    predicted = KIND.predictions(head(features)).detach().numpy()
    assert r2(predicted, target) > 0.999


def test_the_note_has_the_other_metrics_of_the_first_model() -> None:
    measured = {"r2": 0.9, "mae": 0.1234, "spearman": 0.8768}
    assert (
        KIND.note(measured, "r2", 0.01) == "The first has a mean absolute error of 0.123 and a Spearman correlation of 0.877."
    )
    assert KIND.note({"logme": -1.0}, None, 0.01) == ""
