"""SA, as in the paper and as in the public code, against both written out row by row and pair by pair.

No public value is at hand: the reference here is written from the code's formulas, with the exact decomposition.
"""

import numpy as np
import pytest

from itm.scores import evaluate
from tests.scores.samples import blobs
from tests.scores.test_lda import narrowed, slow_lda, uneven

SHAPES = [(200, 12, 4), (60, 90, 5), (200, 6, 30), (150, 100, 6)]


def attracted(rows: np.ndarray, labels: np.ndarray, sign: float) -> np.ndarray:
    """Return the rows after each class has moved by 0.005 of its gap to each other, towards it where the sign is 1."""
    groups = [rows[labels == number] for number in range(labels.max() + 1)]
    result = rows.copy()
    for one, own in enumerate(groups):
        for two, other in enumerate(groups):
            if one == two:
                continue
            line = other.mean(axis=0) - own.mean(axis=0)
            distance = np.linalg.norm(line)
            gap = distance - 0.6 * sum(np.sqrt(group.var(axis=0).sum()) for group in (own, other))
            result[labels == one] += sign * 0.005 * gap * line / distance
    return result


def spread(rows: np.ndarray, labels: np.ndarray, unit: float) -> np.ndarray:
    """Return the rows after each has moved by a unit away from its class's mean."""
    result = rows.copy()
    for row, own in enumerate(labels):
        away = rows[row] - rows[labels == own].mean(axis=0)
        result[row] += unit * away / np.linalg.norm(away)
    return result


@pytest.mark.parametrize(("n", "d", "classes"), SHAPES)
def test_equals_the_paper(n: int, d: int, classes: int) -> None:
    """By default rows spread by one unit, the spread classes attract each other, and true LDA judges them."""
    features, labels = grouped(n, d, classes)
    rows = narrowed(features)[:, :64]
    wide = spread(rows, labels, np.sqrt(rows.var(axis=0).mean()))
    value = evaluate("sa", features, labels).value
    assert value == pytest.approx(slow_lda(attracted(wide, labels, 1.0), labels), rel=1e-7)
    assert abs(value - evaluate("lda", features, labels).value) > 1e-3


@pytest.mark.parametrize(("n", "d", "classes"), SHAPES)
def test_equals_the_public_code(n: int, d: int, classes: int) -> None:
    """As the reference, nothing spreads, classes that are apart are driven further, and the nearest class mean judges them."""
    features, labels = grouped(n, d, classes)
    rows = narrowed(features)[:, :64]
    assert rows.var(axis=0)[:2].mean() > np.log(1e9) / 5
    expected = evaluate("lda", attracted(rows, labels, -1.0), labels, options={"reference": True}).value
    value = evaluate("sa", features, labels, options={"reference": True}).value
    assert value == pytest.approx(expected, rel=1e-9)


def grouped(n: int, d: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return classes of at least two rows each, far enough from each other that some gaps are positive and some are not."""
    features, labels = uneven(n, d, classes)
    labels[classes : 2 * classes] = np.arange(classes)
    return features + 3 * np.random.default_rng(7).normal(size=(classes, 2))[labels] @ np.eye(2, d), labels


def test_the_public_code_moves_nothing_of_small_variance() -> None:
    """As the reference, features whose two largest eigenvalues are small in their unit score as LDA in the public code."""
    features, labels = blobs(n=200, gap=0.7)
    assert np.linalg.eigvalsh(np.cov(features.T, bias=True))[-2:].mean() < np.log(1e9) / 5
    options = {"reference": True}
    still, larger = (evaluate("sa", features * unit, labels, options=options).value for unit in (1, 8))
    assert still == evaluate("lda", features, labels, options=options).value
    assert larger != pytest.approx(evaluate("lda", features * 8, labels, options=options).value, rel=1e-6)


def test_perturbed_classes_are_harder_to_tell_apart() -> None:
    """What the score is for: it is below LDA, the more so the less classes have to spare."""
    drops = []
    for gap in (1.0, 4.0):
        features, labels = blobs(n=300, gap=gap)
        drops.append(evaluate("lda", features, labels).value - evaluate("sa", features, labels).value)
    assert drops[0] > drops[1] > -1e-9
    assert drops[0] > 0.005


def test_a_row_at_its_classes_centre_has_no_direction() -> None:
    """Classes of one row, or with a row at their mean, spread without it, and rounding decides nothing."""
    rng = np.random.default_rng(0)
    half = rng.normal(size=(20, 6))
    features = np.concatenate([half, -half, np.zeros((1, 6)), rng.normal(size=(1, 6)) + 1, rng.normal(size=(10, 6)) + 1])
    labels = np.repeat([0, 1, 2], [41, 1, 10])
    ids = [f"{row:02d}" for row in range(52)]
    first = evaluate("sa", features, labels, ids=ids).value
    assert evaluate("sa", features + 1000.0, labels, ids=ids).value == pytest.approx(first, abs=1e-6)
