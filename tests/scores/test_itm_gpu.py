"""ITM on a GPU: the scores of the CPU within half a percentage point on average."""

import numpy as np
import pytest
import torch

from itm.scores import Evaluation, canonical, evaluate, evaluate_together

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU that CUDA can use here"),
]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"recursions": 5, "mapping_bias": True, "hidden_blocks": 1},
        {"centres": "principal_axes", "centre_offset": True},
        {"centres": "random", "centre_dimensions": 12},
        {"evaluation": "labelled", "batch_size": 128},
        {"inner_loss": "cross_entropy"},
    ],
)
def test_models_scored_together_on_a_gpu_score_as_on_the_cpu(options: dict[str, object]) -> None:
    rng = np.random.default_rng(0)
    labels, ids = np.arange(3200) % 8, [f"{row:04d}" for row in range(3200)]
    centres = rng.normal(size=(8, 64))
    tables = [(rng.normal(size=(3200, 64)) + gap * centres[labels]).astype(np.float32) for gap in (0.2, 0.3, 0.4)]
    found = evaluate_together("itm", [canonical(table, labels, ids) for table in tables], options=options, device="cuda")
    assert all(isinstance(one, Evaluation) for one in found)
    expected = [evaluate("itm", table, labels, ids=ids, options=options).value for table in tables]
    assert [one.value for one in found if isinstance(one, Evaluation)] == pytest.approx(expected, abs=0.005)
