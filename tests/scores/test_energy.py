"""Energy against its definition and the public code, and the terms of ETran."""

import numpy as np
import pytest

from itm.scores import ModelInfo, evaluate, names, weights_of
from tests.scores import public_code
from tests.scores.conftest import Golden
from tests.scores.samples import blobs, known


def test_equals_the_definition() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(3000, 1000)).astype(np.float32) * 3
    features, labels = blobs(n=3000)
    expected = np.mean([np.log(np.exp(row.astype(np.float64)).sum()) for row in logits])
    assert evaluate("energy", features, labels, model=ModelInfo(logits=logits)).value == pytest.approx(expected, rel=1e-12)


def test_large_logits_do_not_overflow() -> None:
    features, labels = blobs()
    model = ModelInfo(logits=np.tile([0.0, 5000.0, -5000.0], (len(labels), 1)))
    assert evaluate("energy", features, labels, model=model).value == pytest.approx(5000.0)


def test_values_per_fold_take_the_logits_of_their_own_rows() -> None:
    features, labels = blobs()
    logits = np.random.default_rng(0).normal(size=(len(labels), 3))
    result = evaluate("energy", features, labels, model=ModelInfo(logits=logits))
    assert len(set(result.fold_values)) == 5
    assert np.mean(result.fold_values) == pytest.approx(result.value)


def test_public_code_reads_the_embeddings_and_few_rows(golden: Golden) -> None:
    stored = golden.expected["energy:etran lowest 0.5 % of rows"]
    assert public_code.energy(golden.features) == pytest.approx(stored, rel=1e-6)
    ours = evaluate("energy", golden.features, golden.labels, model=golden.model).value
    assert ours == evaluate("energy", 2 * golden.features, golden.labels, model=golden.model).value != pytest.approx(stored)


def test_public_code_is_undefined_for_fewer_than_two_hundred_rows() -> None:
    features, labels = blobs(n=199)
    assert np.isnan(public_code.energy(features))
    assert np.isfinite(evaluate("energy", features, labels, model=known(features)).value)


def test_etran_is_made_of_registered_scores() -> None:
    weights = weights_of("etran")
    assert set(weights) <= set(names())
    assert sum(weights.values()) == pytest.approx(1.0)
