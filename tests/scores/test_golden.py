"""LogME against the values that public implementations give on shared arrays; other scores are in the tests of their own."""

import pytest

from itm.scores import evaluate
from tests.scores.conftest import Golden


def test_logme_is_the_exact_evidence_maximum(golden: Golden) -> None:
    """LogME meets the one-dimensional maximisation to 1e-6.

    The three public fixed points evaluate the evidence that is maximised here, which is theirs where N > D, and stop after
    eleven rounds or when alpha / beta changes by a thousandth. So each lies below the maximum. A ratio misplaced by a share e
    costs e^2 / 2 of the evidence's curvature by its logarithm, which is below gamma / (2 N) < 1/2 per row: next to nothing.
    """
    value = evaluate("logme", golden.features, golden.labels).value
    assert value == pytest.approx(golden.expected["logme:exact evidence maximum"], rel=1e-6)
    for public in ("logme:thuml fixed point", "logme:thuml icml", "logme:tllib"):
        assert value - 3e-5 < golden.expected[public] <= value + 1e-9
