import numpy as np
import polars as pl
import pytest
import torch

from itm.core.errors import ScoreError
from itm.kinds.class_numbers import class_numbers
from itm.scores import evaluate
from tests.scores.samples import blobs

pytestmark = pytest.mark.slow

NAMES = np.array(["zebra", "cat", "Dog", "7"])


@pytest.mark.parametrize(
    "convert",
    [
        lambda numbers: NAMES[numbers],
        lambda numbers: NAMES[numbers].tolist(),
        lambda numbers: NAMES[numbers].astype(object),
        lambda numbers: pl.Series(NAMES[numbers]),
        lambda numbers: pl.Series(NAMES[numbers]).cast(pl.Categorical),
        lambda numbers: [("caf\u00e9", "cafe\u0301 ", "b", "c")[number] for number in np.where(numbers == 1, 0, numbers)],
        lambda numbers: numbers.astype(np.float32),
        lambda numbers: numbers.astype(np.uint8),
        lambda numbers: [int(number) for number in numbers],
        lambda numbers: torch.tensor(numbers),
    ],
    ids=["text", "list", "objects", "polars", "categorical", "unicode", "floats", "bytes", "integers", "torch"],
)
def test_labels_of_every_type_give_the_score_of_class_numbers(convert):
    features, numbers = blobs()
    labels = convert(numbers)
    if not isinstance(labels, list):
        labels = np.asarray(labels)
    expected = np.where(numbers == 1, 0, numbers) if isinstance(labels, list) and "caf\u00e9" in labels else numbers
    for score in ("itm", "knn"):
        assert evaluate(score, features, labels).value == evaluate(score, features, expected).value


def test_truth_values_are_two_classes():
    assert class_numbers(np.array([True, False, True])).tolist() == [1, 0, 1]
    assert class_numbers(np.array([True, False, 1], dtype=object)).tolist() == [1, 0, 1]


def test_text_that_looks_the_same_is_one_class():
    numbers = class_numbers(np.array(["caf\u00e9", "cafe\u0301", " caf\u00e9 ", "tea"]))
    assert numbers.tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array(["cat", None, "dog", None], dtype=object), "2 of 4 labels are missing, the first in row 1; leave them out."),
        (np.array(["cat", float("nan")], dtype=object), "1 of 2 labels are missing, the first in row 1"),
        (np.array(["cat", float("nan")]), "1 of 2 labels are missing, the first in row 1"),
        (np.array(["cat", " "]), "1 of 2 labels are missing, the first in row 1"),
        (np.array([1.0, np.nan]), "1 of 2 labels are missing, the first in row 1"),
        (np.array([1.0, np.inf]), "1 of 2 labels are missing, the first in row 1"),
        (np.array([1.0, 2.5]), "the label of row 1 is 2.5; class labels are text or whole numbers."),
        (np.array(["cat", 1], dtype=object), "some labels are text and others are numbers"),
        (np.array(["2020-01-01", "2020-01-02"], dtype="datetime64[D]"), "labels are of type date; text or whole numbers"),
    ],
)
def test_labels_that_are_no_classes_are_refused(labels, message):
    with pytest.raises(ScoreError) as caught:
        class_numbers(labels)
    assert str(caught.value).startswith(message)
