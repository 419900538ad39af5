"""TransRate against determinants of dense matrices and the authors' code, and its blind spots."""

import numpy as np
import pytest

from itm.core.errors import ParamsError
from itm.scores import evaluate, make
from itm.scores.common import statistics as _statistics
from itm.scores.common.statistics import Statistics
from tests.scores import public_code
from tests.scores.conftest import Golden
from tests.scores.samples import blobs

UNEVEN = np.repeat([0, 1, 2], [60, 25, 5])


def test_public_code_weighs_classes_alike(golden: Golden) -> None:
    stored = golden.expected["transrate:tllib"]
    assert public_code.transrate(golden.features, golden.labels) == pytest.approx(stored, rel=1e-9)
    assert evaluate("transrate", golden.features, golden.labels).value != pytest.approx(stored, rel=1e-3)


@pytest.mark.parametrize("width", [4, 40, 200])
def test_equals_its_definition(width: int) -> None:
    rng = np.random.default_rng(width)
    features = rng.normal(size=(90, width)) + 2 * rng.normal(size=(3, width))[UNEVEN]
    expected = public_code.coding_rate_gain(features, UNEVEN, np.bincount(UNEVEN) / 90, features.var(axis=0).sum())
    assert evaluate("transrate", features, UNEVEN).value == pytest.approx(expected, rel=1e-9)


def test_only_public_code_depends_on_the_unit() -> None:
    features, labels = blobs(gap=0.7)
    ours, public = (
        [of(features * scale, labels) for scale in (0.01, 1.0)]
        for of in (lambda *data: evaluate("transrate", *data).value, public_code.transrate)
    )
    assert ours[0] == pytest.approx(ours[1], rel=1e-6)
    assert public[1] > 2 * public[0]


def test_is_never_negative() -> None:
    rng = np.random.default_rng(0)
    values = [evaluate("transrate", rng.normal(size=(90, 6)), UNEVEN).value for _ in range(20)]
    assert min(values) > 0
    assert evaluate("transrate", np.ones((90, 6)), UNEVEN).value == 0


def test_two_like_classes_of_equal_size_are_not_told_apart() -> None:
    rng = np.random.default_rng(0)
    half = rng.normal(size=(50, 5))
    half -= half.mean(axis=0)
    features, labels = np.r_[half - 3, half + 3], np.repeat([0, 1], 50)
    features[50:] = -features[:50]
    assert evaluate("transrate", features, labels).value == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("width", [7, 200])
def test_rows_of_a_class_are_read_in_blocks(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_statistics, "BLOCK", 4 * width)
    rng = np.random.default_rng(0)
    table, order = rng.normal(size=(120, width)), rng.permutation(120)[:90]
    statistics = Statistics(table, order, UNEVEN)
    for label in range(3):
        blocks = list(statistics.rows_of(label))
        rows = (table[order] - table[order].mean(axis=0))[statistics.labels == label]
        assert len(blocks) == (np.ceil(len(rows) / 4) if width < 90 else 1)
        found = np.concatenate(blocks)
        assert found @ found.T == pytest.approx(rows @ rows.T, abs=1e-9)


def test_small_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = blobs(gap=0.7)
    whole = evaluate("transrate", features, labels).value
    monkeypatch.setattr(_statistics, "BLOCK", 4 * features.shape[1])
    assert evaluate("transrate", features, labels).value == pytest.approx(whole, rel=1e-12)


def test_a_distortion_of_0_is_an_error() -> None:
    with pytest.raises(ParamsError, match=r"score 'transrate' options: distortion: must be greater than 0 \(got 0\.0\)"):
        make("transrate", {"distortion": 0.0})
