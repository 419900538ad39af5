"""Arrays with the values that public implementations give on them, where they are at hand."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from itm.scores import Source

GOLDEN = Path(__file__).parents[2].parent / "shared" / "golden"


class Golden(NamedTuple):
    """One case: what goes in, and what implementations made of it, by `score:implementation`."""

    features: np.ndarray
    labels: np.ndarray
    source: Source
    spread: np.ndarray
    expected: dict[str, Any]


@pytest.fixture(params=["a_600x64x8", "b_900x128x10", "c_500x96x3", "d_1200x80x30"])
def golden(request: pytest.FixtureRequest) -> Golden:
    """Return each golden case in turn; its source has logits whose softmax are the stored probabilities."""
    if not GOLDEN.exists():
        pytest.skip("../shared/golden is not here: it holds arrays and reference values that are not part of this repository")
    arrays = np.load(GOLDEN / f"{request.param}.npz")
    source, spread = Source(logits=np.log(arrays["source_probabilities"])), arrays["source_features"].std(axis=0)
    expected = json.loads((GOLDEN / "scores.json").read_text(encoding="utf-8"))[request.param]
    return Golden(arrays["features"], arrays["labels"], source, spread, expected)
