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
SPEC = TargetSpec("regression", facts={"lowest": 3.25, "highest": 6.5, "mean": 4.5, "deviation": 1.5})
WIDE = TargetSpec("regression", facts={"lowest": -20.0, "highest": 20.0, "mean": 3.0, "deviation": 2.0})


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
    assert spec.facts == pytest.approx({"lowest": 3.25, "highest": 6.5, "mean": 55 / 12, "deviation": np.std([6.5, 3.25, 4])})
    assert (spec.kind, spec.names) == ("regression", ())
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
        loss = KIND.loss(head(features), torch.from_numpy(target), WIDE)
        loss.backward()
        return loss

    optimiser.step(closure)
    predicted = KIND.predictions(head(features), WIDE).detach().numpy()
    assert r2(predicted, target) > 0.999


def test_the_note_has_the_other_metrics_of_the_first_model() -> None:
    measured = {"r2": 0.9, "mae": 0.1234, "spearman": 0.8768}
    assert (
        KIND.note(measured, "r2", 0.01) == "The first has a mean absolute error of 0.123 and a Spearman correlation of 0.877."
    )
    assert KIND.note({"logme": -1.0}, None, 0.01) == ""


def test_several_columns_are_several_numbers() -> None:
    columns = {"height [mm]": ["1", "2.50", "4"], "share": ["0.5", "0.25", "1"]}
    texts = [KIND.read(text) for text in KIND.texts(columns)]
    assert texts[1] == '{"height [mm]": 2.5, "share": 0.25}'
    spec = KIND.specify(texts)
    assert spec.names == ("height [mm]", "share")
    np.testing.assert_array_equal(KIND.encode(texts, spec), [[1, 0.5], [2.5, 0.25], [4, 1]])
    assert KIND.describe(spec) == "height [mm] from 1 to 4 and share from 0.25 to 1"
    assert KIND.head(3, spec).out_features == 2


def test_a_name_with_a_unit_is_kept_and_one_without_is_not() -> None:
    with_unit, without = (KIND.specify(map(KIND.read, KIND.texts({name: ["1", "2"]}))) for name in ("height (mm)", "height"))
    assert (with_unit.names, without.names) == (("height (mm)",), ())
    assert KIND.encode(['{"height (mm)": 2.0}'], with_unit).tolist() == [2.0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": "1", "b": ""}', "there is no value of 'b'"),
        ('{"a": "", "b": ""}', "no target"),
        ('{"a": "1", "b": "x"}', "'x' of 'b' is not a number"),
        ('{"a": "1e200", "b": "1"}', "'1e200' of 'a' is not a finite number"),
    ],
)
def test_a_wrong_value_is_named_with_its_column(text: str, said: str) -> None:
    with pytest.raises(DataError, match=f"^{said}"):
        KIND.read(text)


def test_metrics_of_several_targets_are_means_and_stand_alone() -> None:
    actual = np.random.default_rng(0).normal(size=(30, 2)) * [1, 100]
    predicted = actual + np.array([0.1, 0])
    assert r2(predicted, actual) == pytest.approx((r2(*(a[:, 0] for a in (predicted, actual))) + 1) / 2)
    assert spearman(predicted, actual) == pytest.approx(1)
    assert np.isnan(mean_absolute_error(predicted, actual))  # the units differ
    each = KIND.by_target(predicted, actual)
    assert each.keys() == {"r2/0", "r2/1", "mae/0", "mae/1"}
    assert (each["mae/0"], each["mae/1"], each["r2/1"]) == pytest.approx((0.1, 0, 1))
    assert KIND.by_target(predicted[:, 0], actual[:, 0]) == {}
    measured = {"r2": 0.9, "spearman": 0.8768, "mae/height [mm]": 1.25, "mae/share": 0.5}
    assert KIND.note(measured, "r2", 0.01) == (
        "The first has a Spearman correlation of 0.877, and mean absolute errors of 1.25 mm (height) and 0.5 (share)."
    )


def test_bins_of_several_targets_are_memberships() -> None:
    targets = np.random.default_rng(0).permutation(400).reshape(200, 2)
    strata = KIND.strata(targets)
    assert (strata.sum(axis=1) == 2).all()
    for column, bins in ((0, strata[:, :10]), (1, strata[:, 11:21])):
        np.testing.assert_array_equal(bins.argmax(axis=1), KIND.strata(targets[:, column]))


def test_a_target_that_is_equal_in_all_rows_is_named() -> None:
    spec = TargetSpec("regression", ("a", "b"))
    targets = np.stack([np.arange(9.0), np.full(9, 2.0)], axis=1)
    assert KIND.check(targets, spec, [None] * 9) == ["every image has the same 'b'; leave out targets that do not differ"]
    assert KIND.problem(targets) == "target 1, counted from 0, is the same in every row; a score needs targets that differ."


def test_the_loss_is_hubers_of_standardised_targets_and_predictions_have_their_unit() -> None:
    spec = KIND.specify(['{"a": 0.0, "b": 100.0}', '{"a": 2.0, "b": 300.0}'])  # means 1 and 200, deviations 1 and 100
    output, target = torch.tensor([[0.5, -1.0], [3.0, 0.0]]), torch.tensor([[1.0, 200.0], [1.0, 200.0]])
    assert KIND.loss(output, target, spec).item() == pytest.approx((0.125 + 0.5 + 2.5 + 0) / 4)
    assert KIND.predictions(output, spec).tolist() == [[1.5, 100.0], [2.0, 200.0]]  # 4 is beyond the targets
