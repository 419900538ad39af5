"""Values that public implementations give on shared arrays, where those implementations are right."""

import json
from pathlib import Path

import numpy as np
import pytest

from itm.scores import evaluate

GOLDEN = Path(__file__).parents[2].parent / "shared" / "golden"


@pytest.mark.parametrize("case", ["a_600x64x8", "b_900x128x10", "c_500x96x3", "d_1200x80x30"])
def test_logme_is_the_exact_evidence_maximum(case: str) -> None:
    """LogME meets the one-dimensional maximisation to 1e-6, and lies above the published fixed point, which stops early."""
    if not GOLDEN.exists():
        pytest.skip("../shared/golden is not here: it holds arrays and reference values that are not part of this repository")
    expected = json.loads((GOLDEN / "scores.json").read_text())[case]
    arrays = np.load(GOLDEN / f"{case}.npz")
    value = evaluate("logme", arrays["features"], arrays["labels"]).value
    assert value == pytest.approx(expected["logme:exact evidence maximum"], rel=1e-6)
    assert value >= expected["logme:thuml fixed point"] - 1e-9
