"""The code that a report shows builds with timm what was ranked."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from PIL import Image

from itm.core.types import ModelRef
from itm.core.variants import Variant
from itm.zoo import load
from itm.zoo.facts import create_transform, preprocessing
from itm.zoo.recipe import recipe

Saved = Callable[..., tuple[ModelRef, Any]]


def variant(model: ModelRef, text: str) -> ModelRef:
    return Variant.parse(text).of(model)


@pytest.mark.parametrize("text", ["mean", "token+mean", "block2", "block2@mean", "192", "192@token+mean"])
def test_the_recipe_builds_the_variant_of_a_transformer(saved: Saved, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_recipe_builds(variant(saved("test_vit")[0], text), monkeypatch)


@pytest.mark.parametrize("text", ["", "block2", "96"])
def test_the_recipe_builds_the_variant_of_a_convolutional_network(
    saved: Saved, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = saved("test_resnet")
    assert_recipe_builds(variant(model, text) if text else model, monkeypatch)


def test_the_recipe_of_grey_images(grey_rectangles: ModelRef, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_recipe_builds(grey_rectangles, monkeypatch)


def test_there_is_no_recipe_where_timm_would_take_other_weights(saved: Saved) -> None:
    assert recipe(replace(saved("test_resnet")[0], weights_key="ema")) == ""


@pytest.mark.parametrize("name", ["mini_vit_tiny_patch16_224.mae", "mini_resnet18.supervised", "test_mambaout.strokes"])
def test_the_recipe_builds_an_embedded_model(
    embedded: Callable[[str], ModelRef], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_recipe_builds(embedded(name), monkeypatch)


def assert_recipe_builds(model: ModelRef, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the code of the recipe next to the weights, and compare its embeddings and images with those of itm."""
    assert model.checkpoint
    monkeypatch.chdir(model.checkpoint.parent)
    config = preprocessing(model, load.build_plain(model))
    image = Image.effect_noise((150, 120), 50).convert("RGB")
    images = create_transform(config)(image)[None]
    found: dict[str, Any] = {"torch": torch, "images": images, "NUMBER_OF_CLASSES": 7}
    exec(recipe(model), found)
    torch.testing.assert_close(found["transform"](image)[None], images, rtol=0, atol=0)
    built, own = found["model"].eval(), load.build(model)
    with torch.inference_mode():
        expected = own.forward_head(own.forward_features(images), pre_logits=True)  # type: ignore[operator]
        if "embedding" in found:
            torch.testing.assert_close(found["embedding"], expected, rtol=0, atol=1e-6)
        else:
            actual = built.forward_head(built.forward_features(images), pre_logits=True)
            torch.testing.assert_close(actual, expected, rtol=0, atol=1e-6)
            assert built(images).shape == (1, 7)
