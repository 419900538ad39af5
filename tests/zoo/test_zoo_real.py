"""Real third-party checkpoints in a zoo file."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from itm.core.sections import ZooParams
from itm.core.types import ModelRef
from itm.zoo.facts import create_transform, facts, preprocessing, preprocessing_without_weights
from itm.zoo.load import build, weights_hash
from itm.zoo.resolve import resolve

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "real"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not REAL.is_dir(), reason="the real checkpoints, ../shared/real, are not available"),
]
Embeddings = Callable[..., torch.Tensor]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[ModelRef]:
    """Return the models of the zoo file written by benchmarks/real_zoo.py."""
    path = tmp_path_factory.mktemp("real") / "zoo.yaml"
    subprocess.run([sys.executable, ROOT / "benchmarks" / "real_zoo.py", REAL, path], check=True, capture_output=True)
    found, failures = resolve(ZooParams(file=path, code=(REAL,)))
    assert failures == []
    return found


@pytest.fixture(scope="module")
def modules(models: list[ModelRef]) -> list[torch.nn.Module]:
    """Return each model built with its weights."""
    return [build(model) for model in models]


def test_real_checkpoints_give_finite_embeddings(models: list[ModelRef], modules: list[torch.nn.Module]) -> None:
    assert len(models) == 13
    image = Image.open(next((REAL / "sets" / "flowers5").rglob("*.jpg"))).convert("RGB")
    for model, module in zip(models, modules, strict=True):
        config = preprocessing(model, module)
        assert preprocessing_without_weights(model) == config
        pixels = create_transform(config)(image)[None]
        with torch.inference_mode():
            embedding = module.forward_head(module.forward_features(pixels), pre_logits=True)  # type: ignore[operator]
        known = facts(model, module, config)
        assert embedding.shape == (1, known.width)
        assert embedding.isfinite().all()
        assert embedding.std() > 0
        assert pixels.shape[-1] == known.input_size == model.preprocessing.input_size


def test_parameters_and_origin_equal_published_values(models: list[ModelRef], modules: list[torch.nn.Module]) -> None:
    listed = json.loads((REAL / "zoo.json").read_text())
    for model, module, expected in zip(models, modules, listed.values(), strict=True):
        known = facts(model, module, preprocessing(model, module))
        assert (known.parameters, known.pretraining) == (expected["params"], expected["source"])
    assert len({weights_hash(model) for model in models}) == len({model.name for model in models}) == 13
