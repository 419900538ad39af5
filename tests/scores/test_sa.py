"""SA against the paper, row by row and pair by pair, and against the formulas of the public code.

No stored value of the public code is available.
"""

import numpy as np
import pytest

from itm.scores import evaluate
from tests.scores import public_code
from tests.scores.dense import narrowed, slow_lda
from tests.scores.public_code import attracted
from tests.scores.samples import blobs, uneven

SHAPES = [(200, 12, 4), (60, 90, 5), (200, 6, 30), (150, 100, 6)]


def spread(rows: np.ndarray, labels: np.ndarray, unit: float) -> np.ndarray:
    """Return the rows after each has moved by a unit away from its class's mean."""
    result = rows.copy()
    for row, own in enumerate(labels):
        away = rows[row] - rows[labels == own].mean(axis=0)
        result[row] += unit * away / np.linalg.norm(away)
    return result


@pytest.mark.parametrize(("n", "d", "classes"), SHAPES)
def test_equals_the_paper(n: int, d: int, classes: int) -> None:
    features, labels = grouped(n, d, classes)
    rows = narrowed(features)[:, :64]
    wide = spread(rows, labels, np.sqrt(rows.var(axis=0).mean()))
    value = evaluate("sa", features, labels).value
    assert value == pytest.approx(slow_lda(attracted(wide, labels, 1.0), labels), rel=1e-7)
    assert abs(value - evaluate("lda", features, labels).value) > 1e-3


def grouped(n: int, d: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return classes of at least two rows each, far enough from each other that some gaps are positive and some are not."""
    features, labels = uneven(n, d, classes)
    labels[classes : 2 * classes] = np.arange(classes)
    return features + 3 * np.random.default_rng(7).normal(size=(classes, 2))[labels] @ np.eye(2, d), labels


def test_public_code_drives_classes_apart() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 2
    features = rng.normal(size=(300, 2)) + 6.0 * labels[:, None] * np.eye(1, 2)
    assert narrowed(features).var(axis=0).mean() > np.log(1e9) / 5
    assert public_code.sa(features, labels) > public_code.lda(features, labels)
    assert evaluate("sa", features, labels).value < evaluate("lda", features, labels).value


def test_public_code_moves_nothing_of_small_variance() -> None:
    features, labels = blobs(n=200, gap=0.7)
    assert np.linalg.eigvalsh(np.cov(features.T, bias=True))[-2:].mean() < np.log(1e9) / 5
    assert public_code.sa(features, labels) == public_code.lda(features, labels)
    assert public_code.sa(8 * features, labels) != pytest.approx(public_code.lda(8 * features, labels), rel=1e-6)
    assert evaluate("sa", features, labels).value == pytest.approx(evaluate("sa", 8 * features, labels).value, rel=1e-9)


def test_perturbed_classes_are_harder_to_tell_apart() -> None:
    drops = []
    for gap in (1.0, 4.0):
        features, labels = blobs(n=300, gap=gap)
        drops.append(evaluate("lda", features, labels).value - evaluate("sa", features, labels).value)
    assert drops[0] > drops[1] > -1e-9
    assert drops[0] > 0.005


def test_a_row_at_its_classes_centre_has_no_direction() -> None:
    rng = np.random.default_rng(0)
    half = rng.normal(size=(20, 6))
    features = np.concatenate([half, -half, np.zeros((1, 6)), rng.normal(size=(1, 6)) + 1, rng.normal(size=(10, 6)) + 1])
    labels = np.repeat([0, 1, 2], [41, 1, 10])
    ids = [f"{row:02d}" for row in range(52)]
    first = evaluate("sa", features, labels, ids=ids).value
    assert evaluate("sa", features + 1000.0, labels, ids=ids).value == pytest.approx(first, abs=1e-6)
