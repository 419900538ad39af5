"""TransRate against determinants of dense matrices and the authors' code, and what it does not see."""

import numpy as np
import pytest

from itm.core.errors import ParamsError
from itm.scores import check_options, evaluate
from itm.scores.common import statistics as _statistics
from itm.scores.common.statistics import Statistics
from tests.scores.conftest import Golden
from tests.scores.samples import blobs

UNEVEN = np.repeat([0, 1, 2], [60, 25, 5])


def dense(features: np.ndarray, labels: np.ndarray, weights: np.ndarray, unit: float) -> float:
    """Return R(F) - sum_c weights_c R(F_c) from determinants of matrices [D, D]."""
    features = features - features.mean(axis=0)

    def rate(rows: np.ndarray) -> float:
        inner = np.eye(rows.shape[1]) + rows.T @ rows / (len(rows) * 1e-4 * unit)
        return float(np.linalg.slogdet(inner)[1]) / 2

    return rate(features) - sum(weight * rate(features[labels == label]) for label, weight in enumerate(weights))


def test_reference_is_the_authors_code(golden: Golden) -> None:
    """With `reference` the value is that of the published snippet: features as they are, classes weighted alike."""
    found = evaluate("transrate", golden.features, golden.labels, options={"reference": True}).value
    assert found == pytest.approx(golden.expected["transrate:tllib"], rel=1e-9)


@pytest.mark.parametrize("width", [4, 40, 200])
@pytest.mark.parametrize("reference", [False, True])
def test_equals_its_definition(width: int, reference: bool) -> None:
    """Classes with more rows than features and fewer give what dense determinants do, with shares or 1 / C as weights."""
    rng = np.random.default_rng(width)
    features = rng.normal(size=(90, width)) + 2 * rng.normal(size=(3, width))[UNEVEN]
    weights = np.full(3, 1 / 3) if reference else np.bincount(UNEVEN) / 90
    unit = 1.0 if reference else features.var(axis=0).sum()
    found = evaluate("transrate", features, UNEVEN, options={"reference": reference}).value
    assert found == pytest.approx(dense(features, UNEVEN, weights, unit), rel=1e-9)


def test_only_the_reference_depends_on_the_unit() -> None:
    """Features times 100 change the published value more than twofold, and the score not at all."""
    features, labels = blobs(gap=0.7)
    for reference in (False, True):
        own, large = (
            evaluate("transrate", features * scale, labels, options={"reference": reference}).value for scale in (0.01, 1.0)
        )
        assert (large > 2 * own) if reference else (own == pytest.approx(large, rel=1e-6))


def test_is_never_negative() -> None:
    """No division of rows into classes makes the code longer, however unequal the classes are."""
    rng = np.random.default_rng(0)
    values = [evaluate("transrate", rng.normal(size=(90, 6)), UNEVEN).value for _ in range(20)]
    assert min(values) > 0
    assert evaluate("transrate", np.ones((90, 6)), UNEVEN).value == 0


def test_two_like_classes_of_equal_size_are_not_told_apart() -> None:
    """Rows less the mean of all have the same second moments in two such classes, so that the published score is 0."""
    rng = np.random.default_rng(0)
    half = rng.normal(size=(50, 5))
    half -= half.mean(axis=0)
    features, labels = np.r_[half - 3, half + 3], np.repeat([0, 1], 50)
    features[50:] = -features[:50]
    assert evaluate("transrate", features, labels).value == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("width", [7, 200])
def test_rows_of_a_class_are_read_in_blocks(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks that a class is read in are its rows less the mean of all, in coordinates with the same inner products."""
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
    """A class read in many blocks gives the value of one read at once."""
    features, labels = blobs(gap=0.7)
    whole = evaluate("transrate", features, labels).value
    monkeypatch.setattr(_statistics, "BLOCK", 4 * features.shape[1])
    assert evaluate("transrate", features, labels).value == pytest.approx(whole, rel=1e-12)


def test_a_distortion_must_be_above_zero() -> None:
    """No code reaches a distortion of 0."""
    with pytest.raises(ParamsError, match=r"transrate: distortion is 0\.0"):
        check_options("transrate", {"distortion": 0.0})
