"""SFDA against its two stages with dense matrices, and against the public code."""

import numpy as np
import pytest

from itm.scores import evaluate
from tests.scores import public_code
from tests.scores.conftest import Golden
from tests.scores.dense import SHAPES, fitting, narrowed, two_stages
from tests.scores.samples import blobs, uneven


@pytest.mark.parametrize(("n", "d", "classes"), SHAPES)
def test_equals_the_definition(n: int, d: int, classes: int) -> None:
    features, labels = uneven(n, d, classes)
    rows = narrowed(features)
    value = evaluate("sfda", features, labels).value
    assert value == pytest.approx(two_stages(rows, labels, fitting(rows, labels)), rel=1e-8)


def test_public_code_shrinks_by_an_amount_that_depends_on_the_unit(golden: Golden) -> None:
    stored = golden.expected["sfda:sfda"]
    assert public_code.sfda(golden.features, golden.labels) == pytest.approx(stored, rel=1e-6)
    assert evaluate("sfda", golden.features, golden.labels).value != pytest.approx(stored, rel=1e-4)


def test_few_rows_are_not_taken_for_certainty() -> None:
    labels = np.arange(60) % 4
    noise = np.random.default_rng(0).normal(size=(60, 300))
    apart = noise + 3 * np.random.default_rng(1).normal(size=(4, 300))[labels]
    assert public_code.sfda(noise, labels) == pytest.approx(1.0)
    assert evaluate("sfda", noise, labels).value < 0.9 < evaluate("sfda", apart, labels).value


def test_the_published_share_depends_on_the_unit() -> None:
    features, labels = blobs(n=200, d=12)
    features *= np.geomspace(0.1, 3.0, 12, dtype=np.float32)
    public = [public_code.sfda(features * unit, labels) for unit in (0.125, 2.0)]
    assert abs(public[0] - public[1]) > 0.1
    assert evaluate("sfda", features * 0.125, labels).value == pytest.approx(evaluate("sfda", features * 2, labels).value)


def test_two_classes_at_one_point_have_their_shares() -> None:
    labels = np.arange(40) % 2
    assert evaluate("sfda", np.ones((40, 5)), labels).value == pytest.approx(0.5)
