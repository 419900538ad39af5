"""Arrays with the values that public implementations give for them, if they are on this machine."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from itm.scores import ModelInfo

GOLDEN = Path(__file__).parents[2].parent / "shared" / "golden"


class Golden(NamedTuple):
    """One case. `expected` has the values by `score:implementation`; `spread` is the unit of features for PED."""

    features: np.ndarray
    labels: np.ndarray
    model: ModelInfo
    spread: np.ndarray
    expected: dict[str, Any]


@pytest.fixture(params=["a_600x64x8", "b_900x128x10", "c_500x96x3", "d_1200x80x30"])
def golden(request: pytest.FixtureRequest) -> Golden:
    """Return each golden case; the softmax of its logits are the stored probabilities."""
    if not GOLDEN.exists():
        pytest.skip("../shared/golden is not here: it holds arrays and reference values that are not part of this repository")
    arrays = np.load(GOLDEN / f"{request.param}.npz")
    model, spread = ModelInfo(logits=np.log(arrays["source_probabilities"])), arrays["source_features"].std(axis=0)
    expected = json.loads((GOLDEN / "scores.json").read_text(encoding="utf-8"))[request.param]
    return Golden(arrays["features"], arrays["labels"], model, spread, expected)
