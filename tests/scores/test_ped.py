"""PED against a simulation of its steps pair by pair, and against the public code."""

from typing import Any

import numpy as np
import pytest

from itm.core.errors import ParamsError
from itm.scores import canonical, evaluate
from itm.scores.library import ped
from itm.scores.library.ped import PedOptions, displacements
from tests.scores.conftest import Golden
from tests.scores.samples import blobs
from tests.scores.test_lda import uneven


def moved(features: np.ndarray, labels: np.ndarray, spread: np.ndarray, extent: float, by_feature: bool) -> np.ndarray:
    """Return the rows after steps in units of the spread, every pair of classes by itself."""
    rows, first = features / spread, None
    for _ in range(6):
        classes = [rows[labels == number] for number in range(labels.max() + 1)]
        shifts = np.zeros((len(classes), rows.shape[1]))
        for one, own in enumerate(classes):
            for two, other in enumerate(classes):
                line = own.mean(axis=0) - other.mean(axis=0)
                distance = np.linalg.norm(line)
                radii = [np.sqrt(group.var(axis=0).sum()) for group in (own, other)]
                overlap = max(0.0, extent * sum(radii) - distance)
                if one != two:
                    shifts[one] += min(0.5 * 0.1**2 * overlap, overlap) * line / distance
        movement = np.abs(shifts).sum() if by_feature else np.linalg.norm(shifts, axis=1).sum()
        first = first or movement
        if movement / first <= 0.5:
            break
        rows = rows + shifts[labels]
    return rows * spread


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("head", ["sfda", "logme"])
@pytest.mark.parametrize(("n", "d", "classes"), [(200, 12, 4), (60, 90, 5), (200, 6, 30)])
def test_equals_the_head_on_rows_that_were_moved_one_by_one(
    n: int, d: int, classes: int, head: str, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The score is its head's of rows moved pair by pair, in spreads of the source or else of the data set."""
    features, labels = uneven(n, d, classes)
    features = features + 3.0
    spread = np.linspace(2.0, 0.5, d) if known else features.std(axis=0)
    if known:
        monkeypatch.setattr(ped, "_spread", lambda _: spread)
    expected = evaluate(head, moved(features, labels, spread, 0.6, by_feature=False), labels).value
    assert expected != pytest.approx(evaluate(head, features, labels).value, rel=1e-3)
    found = evaluate("ped", features, labels, options={"head": head}).value
    assert found == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize(("n", "d", "classes"), [(200, 12, 4), (60, 90, 5)])
def test_the_reference_sums_movement_over_features(n: int, d: int, classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the reference, the published SFDA judges rows whose movement was summed over features."""
    features, labels = uneven(n, d, classes)
    spread = np.linspace(1.0, 2.0, d)
    rows = moved(features, labels, spread, 0.6, by_feature=True)
    expected = evaluate("sfda", rows, labels, options={"reference": True}).value
    monkeypatch.setattr(ped, "_spread", lambda _: spread)
    found = evaluate("ped", features, labels, options={"reference": True}).value
    assert found == pytest.approx(expected, rel=1e-7)


def test_golden_reference_on_sfda(golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the reference, the score is that of the public code with SFDA."""
    monkeypatch.setattr(ped, "_spread", lambda _: golden.spread)
    value = evaluate("ped", golden.features, golden.labels, options={"reference": True}).value
    name = "ped:on sfda, nsigma 0.6, source_features as the ImageNet statistics"
    assert value == pytest.approx(golden.expected[name], rel=1e-6)


def test_golden_reference_on_logme(golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    """With LogME the score is that of the public code, whose fixed point stops just short of the largest evidence."""
    monkeypatch.setattr(ped, "_spread", lambda _: golden.spread)
    options: dict[str, Any] = {"reference": True, "head": "logme"}
    value = evaluate("ped", golden.features, golden.labels, options=options).value
    name = "ped:on logme, nsigma 0.6, source_features as the ImageNet statistics"
    assert value == pytest.approx(golden.expected[name], rel=1e-6)
    assert value > golden.expected[name] - 1e-12


def test_classes_that_do_not_overlap_stay() -> None:
    """Far classes, or classes that are given no extent, score as with the head alone."""
    features, labels = blobs(gap=30.0)
    assert evaluate("ped", features, labels).value == pytest.approx(evaluate("sfda", features, labels).value, rel=1e-9)
    features, labels = blobs(gap=0.5)
    alone = evaluate("sfda", features, labels).value
    assert evaluate("ped", features, labels, options={"extent": 0.0}).value == pytest.approx(alone, rel=1e-9)
    assert evaluate("ped", features, labels).value > alone + 0.01


def test_overlapping_classes_move_apart() -> None:
    """Two balls that overlap end further from each other, on the line of their centres."""
    features, labels = blobs(classes=2, gap=0.5)
    sample = canonical(features, labels)
    centres = sample.statistics.centres
    before, after = (
        np.diff(rows, axis=0)[0]
        for rows in (centres, centres + displacements(sample.statistics, ped._spread(sample.statistics), PedOptions()))
    )
    assert np.linalg.norm(after) > 1.01 * np.linalg.norm(before)
    assert after / np.linalg.norm(after) == pytest.approx(before / np.linalg.norm(before), abs=1e-9)


def test_classes_of_one_centre_have_no_line_to_move_along() -> None:
    """Two classes whose centres differ by rounding alone do not push each other, and what two beside them push cancels."""
    halves = np.random.default_rng(0).normal(size=(4, 15, 5))
    halves[3] = halves[2]
    balls = np.concatenate([halves, -halves], axis=1) + np.array([0.0, 0.0, 0.3, -0.3])[:, None, None]
    sample = canonical(balls.reshape(120, 5), np.repeat(np.arange(4), 30), ids=[f"{row:03d}" for row in range(120)])
    assert 0 < np.linalg.norm(sample.statistics.class_means[0] - sample.statistics.class_means[1]) < 1e-15
    lengths = np.linalg.norm(displacements(sample.statistics, ped._spread(sample.statistics), PedOptions()), axis=1)
    assert lengths[:2] == pytest.approx([0.0, 0.0], abs=1e-9)
    assert (lengths[2:] > 0.02).all()


def test_a_feature_that_is_constant_does_not_decide_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A spread of nothing, or of hardly anything, counts as a thousandth of the usual one."""
    features, labels = blobs(gap=0.5)
    values = []
    for least in (0.0, 1e-9, 1e-4):
        monkeypatch.setattr(ped, "_spread", lambda _, least=least: np.r_[least, np.ones(11)])
        values.append(evaluate("ped", features, labels).value)
    assert np.isfinite(values).all()
    assert values == pytest.approx([values[0]] * 3, rel=1e-12)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"head": "lda"}, "ped: head is 'lda'; it is 'sfda' or 'logme'"),
        ({"extent": -0.5}, "finite extent >= 0, not -0.5"),
        ({"extent": float("nan")}, "finite extent >= 0, not nan"),
    ],
)
def test_options_that_make_no_sense_are_named(options: dict[str, Any], said: str) -> None:
    """A head there is not or an extent below zero is an error that says what is possible."""
    with pytest.raises(ParamsError, match=said):
        evaluate("ped", *blobs(), options=options)
