"""NCE against its definition, written out in loops."""

import numpy as np
import pytest

from itm.scores import ModelInfo, evaluate


def test_equals_the_definition() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(60, 5)), rng.permutation(np.arange(60) % 3)
    expected = 0.0
    for z in range(5):
        rows = labels[logits.argmax(axis=1) == z]
        for label in range(3):
            if count := int((rows == label).sum()):
                expected += count / 60 * np.log(count / len(rows))
    value = evaluate("nce", rng.normal(size=(60, 2)), labels, model=ModelInfo(logits=logits)).value
    assert expected < -0.5
    assert value == pytest.approx(expected, rel=1e-12)


def test_reaches_both_ends() -> None:
    labels = np.repeat([0, 1], [30, 10])
    sure = evaluate("nce", np.ones((40, 2)), labels, model=ModelInfo(logits=np.eye(2, 4)[labels])).value
    same = evaluate("nce", np.ones((40, 2)), labels, model=ModelInfo(logits=np.ones((40, 4)))).value
    assert sure == 0
    assert same == pytest.approx(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
