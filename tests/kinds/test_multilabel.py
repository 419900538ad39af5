"""Multi-label data: sets of labels as text and numbers, metrics, and what is said about labels that cannot be measured."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score

from itm.core.errors import DataError, ScoreError
from itm.kinds import get_kind
from itm.kinds.metrics import average_precision, average_precisions, micro_f1

KIND = get_kind("multilabel")


def read(columns: dict[str, list[str]]) -> list[str]:
    return [KIND.read(text) for text in KIND.texts(columns)]


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("cat|dog", ["cat", "dog"]),
        ("dog; cat ;dog", ["cat", "dog"]),
        ("cat", ["cat"]),
        ("|", []),
        ("[]", []),
        ('["dog", "cat"]', ["cat", "dog"]),
        ("['dog', 'cat|dog', None]", ["cat|dog", "dog"]),
        ("[3, 10]", ["10", "3"]),
        ('{"cat": "1", "dog": "0", "owl": "True"}', ["cat", "owl"]),
    ],
)
def test_a_set_of_labels_has_one_spelling(text: str, labels: list[str]) -> None:
    assert KIND.read(text) == json.dumps(labels)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no label; write | for an image that has none of the labels"),
        ("[cat, dog]", r"'\[cat, dog\]' is not a list of labels; write \[\"cat\", \"dog\"\] or cat|dog"),
        ('[["cat"]]', "leave out inner lists"),
        ('{"cat": "2"}', "the label 'cat' is '2'; it must be 0 or 1"),
        ('{"cat": ""}', "the label 'cat' is ''; it must be 0 or 1"),
    ],
)
def test_what_is_no_set_of_labels_is_rejected(text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        KIND.read(text)


def test_lists_separators_and_columns_of_0_and_1_say_the_same() -> None:
    expected = ['["cat", "dog"]', "[]", '["cat"]']
    assert read({"labels": ["cat|dog", "|", "cat"]}) == expected
    assert read({"labels": ["cat;dog", ";", "cat"]}) == expected
    assert read({"labels": ['["cat", "dog"]', "[]", "['cat']"]}) == expected
    assert read({"cat": ["1", "0", "1.0"], "dog": ["yes", "no", "FALSE"]}) == expected


def test_one_separator_holds_for_the_whole_column() -> None:
    assert read({"labels": ["a;b|c", "a;b"]}) == ['["a;b", "c"]', '["a;b"]']


def test_labels_that_cannot_be_measured_have_no_column_and_are_named() -> None:
    texts = read({"labels": ["all|often|once", "all|often", "all", "all|but_one", "all|but_one|often", "all|but_one"]})
    spec = KIND.specify(texts)
    assert spec.names == ("but_one", "often")
    np.testing.assert_array_equal(KIND.encode(texts, spec), [[0, 1], [0, 1], [0, 0], [1, 0], [1, 1], [1, 0]])
    (warning,) = KIND.warnings(spec)
    assert warning == (
        "left out, since fewer than 2 images have the label or lack it: 'all' (6 of 6) and 'once' (1 of 6); "
        "the mean is over the other labels"
    )
    assert KIND.describe(spec) == "2 labels, 1 per image"
    assert KIND.absent(KIND.encode(texts[:2], spec), spec) == ["but_one"]


def test_names_that_look_alike_or_are_several_are_named() -> None:
    spec = KIND.specify(read({"labels": ["cat,dog", "Cat", "cat", "Cat|owl", "owl"]}))
    alike, several = KIND.warnings(spec)[-2:]
    assert alike == "these labels have nearly the same name: 'Cat' and 'cat'; rename them if they are one label"
    assert several == "these labels have a comma: 'cat,dog'; separate several labels by | or ;"


def test_data_without_a_label_to_measure_is_refused() -> None:
    texts = read({"labels": ["a", "b", "c", "d", "e"]})
    spec = KIND.specify(texts)
    (said,) = KIND.check(KIND.encode(texts, spec), spec, [None] * 5)
    assert said == "no label has at least 2 images with it and 2 without it; a ranking needs such a label"
    (said,) = KIND.check(np.ones((4, 1), np.uint8), spec, [None] * 4)
    assert said == "there are 4 usable images; multi-label data needs 5 or more"
    assert KIND.describe(spec) == "no labels"
    assert "some images have and others lack" in KIND.problem(np.ones((9, 2)))
    assert KIND.problem(np.eye(9)) == ""


@given(seed=st.integers(0, 10**6), rows=st.integers(2, 30), labels=st.integers(2, 4), levels=st.integers(1, 9))
def test_average_precision_and_f1_are_those_of_scikit_learn(seed: int, rows: int, labels: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    actual = rng.integers(0, 2, (rows, labels))
    probability = rng.integers(0, levels, (rows, labels)) / levels  # with many equal ones
    values = average_precisions(probability, actual)
    for label, value in enumerate(values):
        if 0 < actual[:, label].sum() < rows:
            assert value == pytest.approx(average_precision_score(actual[:, label], probability[:, label]))
        else:
            assert np.isnan(value)
    assert average_precision(probability, actual) == pytest.approx(np.nanmean(values) if np.isfinite(values).any() else 0.0)
    expected = f1_score(actual, probability > 0.5, average="micro", zero_division=1.0)
    assert micro_f1(probability, actual) == pytest.approx(expected)


def test_the_baseline_has_the_share_of_each_label_as_its_average_precision() -> None:
    targets = np.array([[1, 0], [1, 1], [0, 0], [1, 0]])
    assert average_precisions(KIND.baseline(targets, targets), targets).tolist() == [0.75, 0.25]
    assert KIND.by_target(targets, targets) == {"average_precision/0": 1.0, "average_precision/1": 1.0}


def test_a_head_learns_labels_by_binary_cross_entropy() -> None:
    torch.manual_seed(0)
    spec = KIND.specify(read({"labels": ["a|b", "a", "b", "|", "a|b", "|"]}))
    features, head = torch.randn(200, 3), KIND.head(3, spec)
    target = torch.stack([features[:, 0] > 0, features[:, 1] - features[:, 2] > 0.5], dim=1).to(torch.uint8)
    optimiser = torch.optim.LBFGS(head.parameters(), max_iter=50)

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = KIND.loss(head(features), target, spec)
        loss.backward()
        return loss

    optimiser.step(closure)
    predicted = KIND.predictions(head(features), spec).detach().numpy()
    assert average_precision(predicted, target.numpy()) > 0.99
    assert micro_f1(predicted, target.numpy()) > 0.95


def test_numbers_other_than_0_and_1_are_errors() -> None:
    assert KIND.numbers(np.array([[True, False]])).dtype == np.uint8
    for wrong in (np.array([[0, 2]]), np.array([["a"]]), np.array([[0.5]])):
        with pytest.raises(ScoreError, match="targets must be 0 or 1 for each row and label"):
            KIND.numbers(wrong)


def test_the_note_has_micro_f1_and_the_worst_and_best_label() -> None:
    measured = {"average_precision": 0.7, "micro_f1": 0.65, "average_precision/cat": 0.9, "average_precision/dog": 0.5}
    assert KIND.note(measured, "average_precision", 0.01) == (
        "The first has a micro F1 of 0.650 at a probability of 0.5, and an average precision from 0.500 (dog) to 0.900 (cat)."
    )
    assert KIND.note({"logme": -1.0}, None, 0.01) == ""
