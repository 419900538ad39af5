"""LEEP against its definition, written out in loops, and against the stored value."""

import numpy as np
import pytest

import itm.scores.library.leep
from itm.scores import Source, evaluate
from tests.scores.conftest import Golden


def foretold(logits: np.ndarray, labels: np.ndarray) -> list[float]:
    """Return the probability of each row's class by the definition, one source class after the other."""
    soft = [[np.exp(one) / np.exp(row).sum() for one in row] for row in logits]
    found = []
    for row, label in zip(soft, labels, strict=True):
        total = 0.0
        for z, weight in enumerate(row):
            same = sum(other[z] for other, its in zip(soft, labels, strict=True) if its == label)
            total += weight * same / sum(other[z] for other in soft)
        found.append(total)
    return found


def test_equals_the_stored_value(golden: Golden) -> None:
    """The value is that of a public implementation of the definition."""
    value = evaluate("leep", golden.features, golden.labels, source=golden.source).value
    assert value == pytest.approx(golden.expected["leep:definition"], rel=1e-9)


@pytest.mark.parametrize("reference", [False, True])
def test_equals_the_definition(reference: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """In blocks of four rows, the value is the mean of the logs of the sums by definition, or of the sums for the reference."""
    monkeypatch.setattr(itm.scores.library.leep, "BLOCK", 24)
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(30, 6)), np.arange(30) % 3
    value = evaluate("leep", rng.normal(size=(30, 2)), labels, source=Source(logits=logits), options={"reference": reference})
    expected = foretold(logits, labels)
    assert value.value == pytest.approx(np.mean(expected if reference else np.log(expected)), rel=1e-12)


def test_a_classifier_that_sees_no_difference_has_minus_the_entropy_of_the_classes() -> None:
    """Equal logits foretell each class by its share."""
    labels = np.repeat([0, 1], [30, 10])
    value = evaluate("leep", np.ones((40, 2)), labels, source=Source(logits=np.ones((40, 7)))).value
    assert value == pytest.approx(0.75 * np.log(0.75) + 0.25 * np.log(0.25))


def test_logits_far_apart_give_the_limit() -> None:
    """Where the softmax is 0 and 1 to the last digit, sure and right is 0 and one source class for all is a guess."""
    labels = np.arange(40) % 4
    sure = evaluate("leep", np.ones((40, 2)), labels, source=Source(logits=1e300 * np.eye(4, 9)[labels])).value
    same = evaluate("leep", np.ones((40, 2)), labels, source=Source(logits=np.tile([0.0, 1e300], (40, 1)))).value
    assert sure == 0
    assert same == pytest.approx(-np.log(4))
