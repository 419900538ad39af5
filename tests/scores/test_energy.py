"""Energy against its definition and the public code, and what ETran is made of."""

import numpy as np
import pytest

from itm.core.errors import ScoreError
from itm.scores import Source, canonical, evaluate, get, names
from itm.scores.library.energy import EnergyOptions, energy
from tests.scores.conftest import Golden
from tests.scores.samples import blobs


def test_equals_the_definition() -> None:
    """The score is the mean log of the sum of exponentials of the logits, also of more rows than are read at once."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(3000, 1000)).astype(np.float32) * 3
    features, labels = blobs(n=3000)
    expected = np.mean([np.log(np.exp(row.astype(np.float64)).sum()) for row in logits])
    assert evaluate("energy", features, labels, source=Source(logits=logits)).value == pytest.approx(expected, rel=1e-12)


def test_large_logits_do_not_overflow() -> None:
    """Logits whose exponentials no number holds score as their largest."""
    features, labels = blobs()
    source = Source(logits=np.tile([0.0, 5000.0, -5000.0], (len(labels), 1)))
    assert evaluate("energy", features, labels, source=source).value == pytest.approx(5000.0)


def test_draws_take_the_logits_of_their_own_rows() -> None:
    """Each draw is the mean over other rows, and all draws together weigh every row the same."""
    features, labels = blobs()
    logits = np.random.default_rng(0).normal(size=(len(labels), 3))
    result = evaluate("energy", features, labels, source=Source(logits=logits))
    assert len(set(result.draws)) == 5
    assert np.mean(result.draws) == pytest.approx(result.value)


def test_golden_reference(golden: Golden) -> None:
    """As the reference, the score is that of the public code: of the embeddings, on the lowest half per cent of the rows."""
    value = energy(canonical(golden.features, golden.labels), EnergyOptions(reference=True))
    assert value == pytest.approx(golden.expected["energy:etran lowest 0.5 % of rows"], rel=1e-6)


def test_the_reference_needs_two_hundred_rows() -> None:
    """Where half a per cent of the rows is none, which gives nan in the public code, the error says how many are needed."""
    with pytest.raises(ScoreError, match="half per cent of the rows, which of 199 is none; take 200 rows"):
        energy(canonical(*blobs(n=199)), EnergyOptions(reference=True))
    lowest = np.log(np.exp(blobs(n=200)[0].astype(np.float64)).sum(axis=1)).min()
    assert energy(canonical(*blobs(n=200)), EnergyOptions(reference=True)) == pytest.approx(lowest)


def test_etran_is_made_of_scores_there_are() -> None:
    """The terms of ETran are registered scores and their weights sum to one."""
    terms = get("etran").terms
    assert set(terms) <= set(names())
    assert sum(terms.values()) == pytest.approx(1.0)
