"""Rectangular and grey inputs are what a model sees: in its transform, identity and facts."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from itm.core.errors import ModelError
from itm.core.keys import content_key
from itm.core.types import ModelRef, Preprocessing
from itm.zoo.construct import build_on_meta
from itm.zoo.facts import create_transform, facts, preprocessing, preprocessing_without_weights
from itm.zoo.load import build, definition

pytestmark = pytest.mark.slow

Saved = Callable[..., tuple[ModelRef, torch.nn.Module]]
SIZE = {"img_size": [96, 48]}

GREY = """
import torch
from torch import nn


class Grey(nn.Module):
    in_chans = 1

    def __init__(self, channels=1):
        super().__init__()
        self.stem = nn.Conv2d(channels, 8, 3)

    def forward_features(self, x):
        return self.stem(x)

    def forward_head(self, x, pre_logits=False):
        return x.mean((2, 3))


def grey(**arguments):
    return Grey(**arguments)
"""


def embed(model: ModelRef, module: Any, image: Image.Image) -> torch.Tensor:
    pixels = create_transform(preprocessing(model, module))(image)
    with torch.inference_mode():
        embedding: torch.Tensor = module.forward_head(module.forward_features(pixels[None]), pre_logits=True)
    return embedding


@pytest.fixture
def image() -> Image.Image:
    """Return an image of noise, wider than high."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (80, 120, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    ("architecture", "arguments", "input_size"),
    [
        ("test_vit", SIZE, None),
        ("vit_tiny_patch16_224", {**SIZE, "depth": 1}, None),
        ("vit_tiny_patch16_224", {"depth": 1}, (96, 48)),
        ("test_resnet", {}, (96, 48)),
        ("swin_tiny_patch4_window7_224", {"embed_dim": 12, "depths": [1, 1], "num_heads": [1, 2], "window_size": 3}, (96, 48)),
    ],
)
def test_model_sees_rectangles(
    saved: Saved, image: Image.Image, architecture: str, arguments: dict[str, Any], input_size: tuple[int, int] | None
) -> None:
    size = {"img_size": input_size} if input_size and architecture != "test_resnet" else {}
    model, _ = saved(architecture, num_classes=3, **arguments, **size)
    model = replace(model, arguments={"num_classes": 3, **arguments}, preprocessing=Preprocessing(input_size))
    module = build(model)
    config = preprocessing_without_weights(model)
    assert config == preprocessing(model, module)
    assert config["input_size"] == [3, 96, 48]
    assert create_transform(config)(image).shape == (3, 96, 48)
    assert embed(model, module, image).shape == (1, facts(model, module, config).width)
    assert facts(model, module, config).input_size == "96 x 48"


def test_rectangle_is_cut_from_the_centre_without_distortion() -> None:
    rows = np.repeat(np.arange(200, dtype=np.uint8)[:, None, None], 300, 1).repeat(3, 2)
    model = ModelRef("own", architecture="test_resnet", preprocessing=Preprocessing((100, 50), (0.0,), (1.0,), 1.0))
    seen = create_transform(preprocessing_without_weights(model))
    pixels = 255 * seen(Image.fromarray(rows))[0]
    assert pixels[0].mean() == pytest.approx(0.5, abs=1)  # the whole height is seen, and the width is cut
    assert pixels[-1].mean() == pytest.approx(198.5, abs=1)


@pytest.mark.parametrize(
    ("own", "mean", "std"),
    [
        (Preprocessing(64), [(0.485 + 0.456 + 0.406) / 3], [(0.229 + 0.224 + 0.225) / 3]),
        (Preprocessing(64, (0.5,), (0.25,)), [0.5], [0.25]),
        (Preprocessing(64, (0.1,)), [0.1], [(0.229 + 0.224 + 0.225) / 3]),
    ],
)
def test_model_of_one_channel_sees_grey_images(
    saved: Saved, image: Image.Image, own: Preprocessing, mean: list[float], std: list[float]
) -> None:
    model, _ = saved("resnet18", num_classes=3, in_chans=1)
    model = replace(model, preprocessing=own)
    module = build(model)
    config = preprocessing_without_weights(model)
    assert config == preprocessing(model, module)
    assert (config["input_size"], config["mean"], config["std"]) == ([1, 64, 64], pytest.approx(mean), pytest.approx(std))
    transform = create_transform(config)
    assert torch.allclose(transform(image), transform(image.convert("L").convert("RGB")), atol=0.02)
    grey = Image.new("RGB", (64, 64), (255, 255, 255))
    assert transform(grey)[0, 0, 0] == pytest.approx((1 - mean[0]) / std[0])
    assert embed(model, module, image).shape == (1, 512)


def test_factory_declares_grey_images_by_an_attribute(tmp_path: Path, image: Image.Image) -> None:
    (tmp_path / "grey.py").write_text(GREY)
    torch.save({"stem.weight": torch.rand(8, 1, 3, 3), "stem.bias": torch.rand(8)}, tmp_path / "grey.pth")
    model = ModelRef("grey", factory=f"{tmp_path / 'grey.py'}:grey", checkpoint=tmp_path / "grey.pth")
    assert preprocessing_without_weights(model)["input_size"] == [1, 224, 224]
    assert embed(model, build(model), image).shape == (1, 8)
    wrong = replace(model, preprocessing=Preprocessing(mean=(0.5, 0.5, 0.5)))
    with pytest.raises(ModelError, match="grey: mean has 3 numbers, but the model takes 1 channel"):
        preprocessing_without_weights(wrong)


@pytest.mark.parametrize("channels", [2, 4, 12])
def test_other_channels_are_refused_before_images_are_read(channels: int) -> None:
    model = ModelRef("many", architecture="test_resnet", arguments={"in_chans": channels})
    with pytest.raises(ModelError, match=f"many: in_chans is {channels}; images have 3 channels"):
        preprocessing_without_weights(model)


def test_undeclared_channels_of_a_factory_are_refused_by_its_facts(tmp_path: Path) -> None:
    (tmp_path / "grey.py").write_text(GREY.replace("in_chans = 1", "pass"))
    model = ModelRef("odd", factory=f"{tmp_path / 'grey.py'}:grey", arguments={"channels": 4})
    module = build_on_meta(model)
    with pytest.raises(ModelError, match=r"odd: returns no embedding for an image of 224 pixels and 3 channels"):
        facts(model, module, preprocessing(model, module))


def test_square_three_channel_models_keep_their_identity() -> None:
    model = ModelRef("own", architecture="test_vit", arguments={"num_classes": 3}, preprocessing=Preprocessing(48))
    keys = [content_key(values)[:8] for values in (definition(model), preprocessing_without_weights(model))]
    assert keys == ["c3906e80", "7e85a252"]
