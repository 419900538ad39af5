"""Extraction of a small data set with a small model, the embedded one or a team's own."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from itm.core.sections import ExtractParams
from itm.core.types import DataRef, Features, ModelRef
from itm.features.extract import extract
from itm.features.image_reader import ImageReader
from itm.store.layout import Store
from tests.features.readers import IMAGES, Counted

# A team's own model: it can ask for more memory than any machine has, fail, or have no head.
FACTORY = """
import torch
from torch import nn


class Small(nn.Module):
    def __init__(self, most=1000, breaks=False):
        super().__init__()
        self.most, self.breaks = most, breaks
        self.stem = nn.Conv2d(3, 8, 9, 5)

    def forward_features(self, x):
        if len(x) > self.most:
            torch.empty(2**46, device=x.device)
        if self.breaks and x.device.type != "meta":
            raise KeyError("no such layer")
        return self.stem(x)

    def forward_head(self, x, pre_logits=False):
        return x.mean((2, 3))


def small(most=1000, breaks=False):
    return Small(most, breaks)


def frozen(most=1000, breaks=False):
    model = Small(most, breaks)
    model.forward_head = lambda x, pre_logits=False: torch.from_numpy(x.mean((2, 3)).numpy())  # not of tensors with gradients
    return model


def wide(most=1000, breaks=False):
    model = Small(most, breaks)
    model.forward_head = lambda x, pre_logits=False: x.flatten(1)
    return model
"""

Extract = Callable[..., Features]


@pytest.fixture
def run(store: Store, shapes: DataRef) -> Extract:
    """Extract with some options; whatever is not said is as usual."""

    def call(model: ModelRef, data: DataRef = shapes, splits: Any = ("train", "val"), **params: Any) -> Features:
        return extract(model, data, splits, ExtractParams.model_validate(params), store)

    return call


@pytest.fixture
def resnet(embedded: Callable[[str], ModelRef]) -> ModelRef:
    """Return a small embedded model."""
    return embedded("test_resnet.drawn_short")


@pytest.fixture
def custom(tmp_path: Path) -> Callable[..., ModelRef]:
    """Return a function that gives the team's own model with some arguments."""
    path = tmp_path / "models.py"
    path.write_text(FACTORY)

    def make(function: str = "small", **arguments: Any) -> ModelRef:
        checkpoint = tmp_path / "own.safetensors"
        generator = torch.Generator().manual_seed(1)
        weights = {"stem.weight": torch.randn(8, 3, 9, 9, generator=generator), "stem.bias": torch.zeros(8)}
        save_file(weights, checkpoint)
        return ModelRef("mine", factory=f"{path}:{function}", arguments=arguments, checkpoint=checkpoint)

    return make


@pytest.fixture
def reweighted(resnet: ModelRef, tmp_path: Path) -> Callable[[float], ModelRef]:
    """Return a function that gives the embedded model with another number in the first place of its first convolution."""

    def make(value: float) -> ModelRef:
        assert resnet.checkpoint
        state = load_file(resnet.checkpoint)
        next(weights for weights in state.values() if weights.ndim == 4)[0, 0, 0, 0] = value
        save_file(state, tmp_path / "changed.safetensors")
        return replace(resnet, checkpoint=tmp_path / "changed.safetensors")

    return make


@pytest.fixture
def opener() -> Counted:
    return Counted()


@pytest.fixture
def reader(tmp_path: Path, store: Store, opener: Counted) -> ImageReader:
    """Return a reader of twelve images of noise of different shapes."""
    noise, rows = np.random.default_rng(0), []
    for number in range(IMAGES):
        path = tmp_path / f"{number}.png"
        Image.fromarray(noise.integers(0, 256, (50 + 3 * number, 70 - number, 3), np.uint8)).save(path)
        rows.append({"path": str(path), "id": hashlib.sha256(path.read_bytes()).hexdigest()})
    return ImageReader("set", pl.DataFrame(rows), opener, store.decoded)
