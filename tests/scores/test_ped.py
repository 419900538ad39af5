"""PED against a simulation of its steps pair by pair, and against the public code."""

from typing import Any

import numpy as np
import pytest

from itm.core.errors import ParamsError
from itm.scores import canonical, evaluate
from itm.scores.library import ped
from itm.scores.library.ped import displacements, feature_spreads
from tests.scores import public_code
from tests.scores.conftest import Golden
from tests.scores.samples import blobs, in_order, uneven


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("head", ["sfda", "logme"])
@pytest.mark.parametrize(("n", "d", "classes"), [(200, 12, 4), (60, 90, 5), (200, 6, 30)])
def test_equals_the_head_on_rows_that_were_moved_one_by_one(
    n: int, d: int, classes: int, head: str, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    features, labels = uneven(n, d, classes)
    features = features + 3.0
    spread = np.linspace(2.0, 0.5, d) if known else features.std(axis=0)
    if known:
        monkeypatch.setattr(ped, "feature_spreads", lambda _: spread)
    expected = evaluate(head, public_code.moved_by_ped(features, labels, spread, by_feature=False), labels).value
    assert expected != pytest.approx(evaluate(head, features, labels).value, rel=1e-3)
    found = evaluate("ped", features, labels, options={"head": head}).value
    assert found == pytest.approx(expected, rel=1e-7)


def test_public_code_on_sfda(golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = golden.expected["ped:on sfda, nsigma 0.6, source_features as the ImageNet statistics"]
    rows = public_code.moved_by_ped(golden.features.astype(np.float64), golden.labels, golden.spread)
    assert public_code.sfda(rows, golden.labels) == pytest.approx(stored, rel=1e-6)
    monkeypatch.setattr(ped, "feature_spreads", lambda _: golden.spread)
    assert evaluate("ped", golden.features, golden.labels).value != pytest.approx(stored, rel=1e-4)


def test_public_code_on_logme_stops_just_below_the_maximum(golden: Golden) -> None:
    stored = golden.expected["ped:on logme, nsigma 0.6, source_features as the ImageNet statistics"]
    rows = public_code.moved_by_ped(golden.features.astype(np.float64), golden.labels, golden.spread)
    value = evaluate("logme", rows, golden.labels).value
    assert value == pytest.approx(stored, rel=1e-6)
    assert value > stored - 1e-12


def test_movement_by_feature_stops_at_another_step() -> None:
    features, labels = uneven(200, 12, 4)
    spread = features.std(axis=0)
    by_length, by_feature = (
        public_code.moved_by_ped(features, labels, spread, by_feature=by_feature) for by_feature in (False, True)
    )
    ours = canonical(features, labels, in_order(labels))
    shifts = ours.statistics.compact(displacements(ours.statistics, spread, 0.6))
    np.testing.assert_allclose(shifts[0], (by_length - features)[labels == 0][0], atol=1e-9)
    assert by_feature.shape == by_length.shape


def test_classes_that_do_not_overlap_stay() -> None:
    features, labels = blobs(gap=30.0)
    assert evaluate("ped", features, labels).value == pytest.approx(evaluate("sfda", features, labels).value, rel=1e-9)
    features, labels = blobs(gap=0.5)
    alone = evaluate("sfda", features, labels).value
    assert evaluate("ped", features, labels, options={"extent": 0.0}).value == pytest.approx(alone, rel=1e-9)
    assert evaluate("ped", features, labels).value > alone + 0.01


def test_overlapping_classes_move_apart() -> None:
    features, labels = blobs(classes=2, gap=0.5)
    sample = canonical(features, labels)
    centres = sample.statistics.centres
    before, after = (
        np.diff(rows, axis=0)[0]
        for rows in (centres, centres + displacements(sample.statistics, feature_spreads(sample.statistics), 0.6))
    )
    assert np.linalg.norm(after) > 1.01 * np.linalg.norm(before)
    assert after / np.linalg.norm(after) == pytest.approx(before / np.linalg.norm(before), abs=1e-9)


def test_classes_of_one_centre_have_no_line_to_move_along() -> None:
    halves = np.random.default_rng(0).normal(size=(4, 15, 5))
    halves[3] = halves[2]
    balls = np.concatenate([halves, -halves], axis=1) + np.array([0.0, 0.0, 0.3, -0.3])[:, None, None]
    sample = canonical(balls.reshape(120, 5), np.repeat(np.arange(4), 30), ids=[f"{row:03d}" for row in range(120)])
    assert 0 < np.linalg.norm(sample.statistics.class_means[0] - sample.statistics.class_means[1]) < 1e-15
    lengths = np.linalg.norm(displacements(sample.statistics, feature_spreads(sample.statistics), 0.6), axis=1)
    assert lengths[:2] == pytest.approx([0.0, 0.0], abs=1e-9)
    assert (lengths[2:] > 0.02).all()


def test_a_feature_that_is_constant_does_not_decide_all(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = blobs(gap=0.5)
    values = []
    for least in (0.0, 1e-9, 1e-4):
        monkeypatch.setattr(ped, "feature_spreads", lambda _, least=least: np.r_[least, np.ones(11)])
        values.append(evaluate("ped", features, labels).value)
    assert np.isfinite(values).all()
    assert values == pytest.approx([values[0]] * 3, rel=1e-12)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"head": "lda"}, "head: must be 'sfda' or 'logme' .got 'lda'."),
        ({"extent": -0.5}, "extent: must be greater than or equal to 0 .got -0.5."),
        ({"extent": float("inf")}, "extent: must be a finite number .got inf."),
    ],
)
def test_options_out_of_range_are_errors(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ParamsError, match=f"score 'ped' options: {said}"):
        evaluate("ped", *blobs(), options=options)
