"""Classification: class numbers, baseline, what is refused, and what is said of the first model."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from itm.core.errors import DataError, ParamsError
from itm.core.types import TargetSpec
from itm.kinds import get_kind
from itm.kinds.base import number_by_first_appearance

KIND = get_kind("classification")
SPEC = TargetSpec("classification", ("cat", "dog", "eel"))


def test_an_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(ParamsError, match="there is no task 'clasification'; did you mean 'classification'"):
        get_kind("clasification")


def test_classes_are_numbered_in_alphabetical_order() -> None:
    spec = KIND.specify(["eel", "cat", "dog", "cat"])
    assert spec == SPEC
    assert KIND.encode(["dog", "eel", "cat"], spec).tolist() == [1, 2, 0]
    assert KIND.describe(spec) == "3 classes"


def test_a_target_must_have_a_name() -> None:
    assert KIND.read("7") == "7"
    assert KIND.read(" e\u0301el ") == "\u00e9el"
    for text in ("", " ", "NaN", "None", "null"):
        with pytest.raises(DataError, match="no label"):
            KIND.read(text)


@pytest.mark.parametrize(
    ("names", "warned"),
    [
        (("cat", "dog"), []),
        (tuple("0123456789"), []),
        (("Cat", "cat", "dog"), ["these classes have nearly the same name: 'Cat' and 'cat'"]),
        (("na", "dog"), ["'na' is read as a class"]),
        (tuple(map(str, range(30))), ["all 30 classes are numbers; if they are quantities"]),
        (tuple(f"{number / 8:g}" for number in range(12)), ["all 12 classes are numbers"]),
    ],
)
def test_suspicious_names_are_told(names: tuple[str, ...], warned: list[str]) -> None:
    found = KIND.warnings(KIND.specify(names))
    assert [text.startswith(start) for text, start in zip(found, warned, strict=True)] == [True] * len(warned)


@given(values=st.lists(st.integers(-3, 9), min_size=1, max_size=30).map(np.array))
def test_numbers_follow_the_first_appearance(values: np.ndarray) -> None:
    numbers = number_by_first_appearance(values)
    assert ((numbers[:, None] == numbers) == (values[:, None] == values)).all()
    _, first = np.unique(numbers, return_index=True)
    assert (np.diff(first) > 0).all()
    np.testing.assert_array_equal(KIND.canonical(values), numbers)
    np.testing.assert_array_equal(number_by_first_appearance(numbers), numbers)


def test_a_part_of_the_rows_is_numbered_without_gaps_in_the_same_order() -> None:
    assert KIND.renumber(np.array([4, 1, 4, 7])).tolist() == [1, 0, 1, 2]


def test_the_baseline_is_the_most_frequent_class_of_the_training_rows() -> None:
    assert KIND.baseline(np.array([2, 1, 1, 0]), np.array([0, 0, 2])).tolist() == [1, 1, 1]


def test_strata_and_labels_are_the_classes() -> None:
    targets = np.array([1, 0, 2])
    assert KIND.strata(targets) is targets
    assert KIND.labels(targets) is targets


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (np.array([3, 3, 3]), "every label is 3; a score needs at least two classes."),
        (np.array([0, 1]), ""),
    ],
)
def test_targets_without_a_score_are_named(targets: np.ndarray, said: str) -> None:
    assert KIND.problem(targets) == said


@pytest.mark.parametrize(
    ("texts", "splits", "said"),
    [
        (["a"] * 4, [None] * 4, "there is only one class, 'a'"),
        (["a", "a", "b"], [None] * 3, "this class has fewer than two usable images: 'b' (1)"),
        (["a", "a", "b", "b", "c", "c"], ["train"] * 4 + ["test"] * 2, "val or test has classes that train lacks: 'c'"),
        (["a", "a", "b", "b"], [None] * 4, ""),
    ],
)
def test_data_sets_that_cannot_be_ranked_are_named(texts: list[str], splits: list[str | None], said: str) -> None:
    spec = KIND.specify(texts)
    found = KIND.check(KIND.encode(texts, spec), spec, splits)
    assert [said in problem for problem in found] == [True] * bool(said)


def test_a_head_has_an_output_per_class_and_learns_by_cross_entropy() -> None:
    torch.manual_seed(0)
    head, rows, targets = KIND.head(5, SPEC), torch.randn(8, 5), torch.arange(8) % 3
    output = head(rows)
    assert output.shape == (8, 3)
    expected = -output.log_softmax(dim=1)[torch.arange(8), targets].mean()
    torch.testing.assert_close(KIND.loss(output, targets, TargetSpec()), expected)
    assert KIND.predictions(output, TargetSpec()).tolist() == output.argmax(dim=1).tolist()


@pytest.mark.parametrize(
    ("plain", "balanced", "metric", "error", "said"),
    [
        (0.90, 0.895, "accuracy", 0.001, ""),
        (0.90, 0.85, "accuracy", 0.1, ""),
        (0.90, 0.85, "accuracy", 0.01, "The first has an accuracy of 0.900 and a balanced accuracy of 0.850."),
        (0.90, 0.895, "balanced_accuracy", 0.1, "The first has an accuracy of 0.900 and a balanced accuracy of 0.895."),
    ],
)
def test_both_accuracies_are_told_where_they_differ(
    plain: float, balanced: float, metric: str, error: float, said: str
) -> None:
    assert KIND.note({"accuracy": plain, "balanced_accuracy": balanced}, metric, error) == said
    assert KIND.note({}, metric, error) == ""
