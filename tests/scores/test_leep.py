"""LEEP against its definition in loops, and against stored values."""

import numpy as np
import pytest

from itm.scores import ModelInfo, evaluate
from tests.scores import public_code
from tests.scores.conftest import Golden


def probabilities(logits: np.ndarray, labels: np.ndarray) -> list[float]:
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
    value = evaluate("leep", golden.features, golden.labels, model=golden.model).value
    assert value == pytest.approx(golden.expected["leep:definition"], rel=1e-9)


def test_equals_the_definition_in_blocks_of_four_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("itm.scores.model_info.BLOCK", 24)
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(30, 6)), np.arange(30) % 3
    value = evaluate("leep", rng.normal(size=(30, 2)), labels, model=ModelInfo(logits=logits)).value
    expected = probabilities(logits, labels)
    assert value == pytest.approx(np.mean(np.log(expected)), rel=1e-12)
    assert public_code.leep(logits, labels) == pytest.approx(np.mean(expected), rel=1e-12)


def test_without_the_log_as_in_public_code_two_models_change_places() -> None:
    labels = np.repeat([0, 1], 45)
    wrong = np.arange(90) % 45 < 2
    certain, even = 50.0 * np.eye(2)[labels ^ wrong], np.log(0.93 / 0.07) * np.eye(2)[labels]
    ours = [evaluate("leep", np.ones((90, 2)), labels, model=ModelInfo(logits=logits)).value for logits in (certain, even)]
    public = [public_code.leep(logits, labels) for logits in (certain, even)]
    assert ours[0] < ours[1]
    assert public[0] > public[1]


def test_a_classifier_that_sees_no_difference_has_minus_the_entropy_of_the_classes() -> None:
    labels = np.repeat([0, 1], [30, 10])
    value = evaluate("leep", np.ones((40, 2)), labels, model=ModelInfo(logits=np.ones((40, 7)))).value
    assert value == pytest.approx(0.75 * np.log(0.75) + 0.25 * np.log(0.25))


def test_logits_far_apart_give_the_limit() -> None:
    labels = np.arange(40) % 4
    sure = evaluate("leep", np.ones((40, 2)), labels, model=ModelInfo(logits=1e300 * np.eye(4, 9)[labels])).value
    same = evaluate("leep", np.ones((40, 2)), labels, model=ModelInfo(logits=np.tile([0.0, 1e300], (40, 1)))).value
    assert sure == 0
    assert same == pytest.approx(-np.log(4))
