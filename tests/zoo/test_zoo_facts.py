"""Preprocessing, size and cost of models."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from itm.core.errors import ModelError
from itm.core.types import Facts, ModelRef, Preprocessing
from itm.zoo.construct import build_on_meta
from itm.zoo.facts import create_transform, facts, preprocessing, preprocessing_without_weights
from itm.zoo.load import build
from itm.zoo.timm_gate import timm

pytestmark = pytest.mark.slow

Saved = Callable[..., tuple[ModelRef, torch.nn.Module]]
WriteZoo = Callable[..., Path]


def timm_model(name: str, **values: Any) -> ModelRef:
    return ModelRef(name, architecture=name, pretrained=True, **values)


def facts_of(model: ModelRef) -> Facts:
    module = build_on_meta(model)
    return facts(model, module, preprocessing(model, module))


@pytest.mark.parametrize("name", timm.list_models("test_*", pretrained=True))
def test_preprocessing_equals_timm_with_and_without_weights(name: str) -> None:
    model, module = timm_model(name), timm.create_model(name)
    config = preprocessing(model, module)
    timm_data: Any = timm.data
    expected = timm_data.resolve_model_data_config(module)
    assert {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()} == expected
    assert json.loads(json.dumps(config)) == config
    assert preprocessing_without_weights(model) == config


def test_preprocessing_of_the_zoo_file_overrides_timm() -> None:
    own = Preprocessing(48, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), 0.9, "bilinear")
    config = preprocessing_without_weights(timm_model("test_vit.r160_in1k", preprocessing=own))
    assert config == {
        "input_size": [3, 48, 48],
        "interpolation": "bilinear",
        "mean": [0.5, 0.5, 0.5],
        "std": [0.25, 0.25, 0.25],
        "crop_pct": 0.9,
        "crop_mode": "center",
    }
    some = preprocessing_without_weights(timm_model("test_vit.r160_in1k", preprocessing=Preprocessing(crop=1.0)))
    assert (some["crop_pct"], some["input_size"]) == (1.0, [3, 160, 160])


def test_img_size_argument_sets_input_size() -> None:
    assert preprocessing_without_weights(timm_model("test_vit.r160_in1k", arguments={"img_size": 64}))["input_size"] == [
        3,
        64,
        64,
    ]


def test_preprocessing_without_weights_builds_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def build_nothing(_model: ModelRef) -> torch.nn.Module:
        raise AssertionError("a model was built")

    monkeypatch.setattr("itm.zoo.facts.build_on_meta", build_nothing)
    monkeypatch.setattr(timm, "create_model", build_nothing)
    assert preprocessing_without_weights(timm_model("vit_large_patch16_224.augreg_in21k_ft_in1k"))["input_size"] == [
        3,
        224,
        224,
    ]


@pytest.mark.parametrize("function", ["small", "through_timm", "reads_numbers"])
def test_custom_modules_have_preprocessing_and_facts(factories: Path, function: str) -> None:
    own = Preprocessing(input_size=32, mean=(0, 0, 0), std=(1, 1, 1))
    model = ModelRef("ours", factory=f"{factories}:{function}", preprocessing=own, checkpoint=factories)
    config = preprocessing_without_weights(model)
    assert (config["input_size"], config["mean"], config["std"]) == ([3, 32, 32], [0, 0, 0], [1, 1, 1])
    known = facts_of(model)
    width, family = (96, "resnet") if function == "through_timm" else (8, "Small")
    assert (known.width, known.family, known.input_size, known.pretraining) == (width, family, 32, "")
    assert known.gmacs


def test_transform_follows_configuration() -> None:
    own = Preprocessing(48, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), 1.0, "bicubic")
    change = create_transform(preprocessing_without_weights(timm_model("test_vit.r160_in1k", preprocessing=own)))
    image = Image.new("RGB", (70, 50), (255, 0, 0))
    tensor = change(image)
    assert tensor.shape == (3, 48, 48)
    assert torch.equal(tensor[:, 24, 24], torch.tensor([2.0, -2.0, -2.0]))
    assert torch.equal(tensor, change(image))


def test_facts_equal_published_values() -> None:
    resnet, vit = facts_of(timm_model("resnet50.a1_in1k")), facts_of(timm_model("vit_base_patch16_224.augreg_in21k_ft_in1k"))
    assert (resnet.parameters, resnet.width, resnet.input_size, resnet.family) == (25557032, 2048, 224, "resnet")
    assert resnet.gmacs == pytest.approx(4.09, abs=0.02)
    assert (vit.parameters, vit.width, vit.family, vit.pretraining) == (
        86567656,
        768,
        "vision_transformer",
        "augreg in21k ft in1k",
    )
    assert vit.gmacs == pytest.approx(17.56, abs=0.02)


def test_facts_do_not_depend_on_weights(saved: Saved) -> None:
    model, _ = saved("test_vit", num_classes=3)
    described = replace(model, family="ours", pretraining="leaves")
    config = preprocessing_without_weights(described)
    known = facts(described, build(described), config)
    assert known == facts_of(described)
    assert (known.family, known.pretraining, known.width) == ("ours", "leaves", 64)
    assert facts_of(model).pretraining == ""  # the tag of custom weights is not used


@pytest.mark.parametrize(
    "name", ["test_vit2.r160_in1k", "test_vit3.r160_in1k", "test_convnext.r160_in1k", "swin_tiny_patch4_window7_224.ms_in1k"]
)
def test_operation_count_equals_torch(name: str) -> None:
    model, counter = timm_model(name), FlopCounterMode(display=False)
    module: Any = build_on_meta(model).requires_grad_(False)
    size = preprocessing(model, module)["input_size"]
    with counter, torch.inference_mode():
        module.forward_head(module.forward_features(torch.zeros(1, *size, device="meta")), pre_logits=True)
    assert facts_of(model).gmacs == counter.get_total_flops() / 2e9


def test_gmacs_grow_with_image_size() -> None:
    small, large = (
        facts_of(timm_model("test_resnet.r160_in1k", preprocessing=Preprocessing(input_size=size))).gmacs for size in (64, 128)
    )
    assert small
    assert large == pytest.approx(4 * small)


@pytest.mark.parametrize(
    ("function", "size", "message"), [("three_dimensions", 32, "not \\[images, width\\]"), ("small", 1, "image of 1 pixels")]
)
def test_model_without_embeddings_is_an_error(factories: Path, function: str, size: int, message: str) -> None:
    model = ModelRef(function, factory=f"{factories}:{function}", preprocessing=Preprocessing(input_size=size))
    with pytest.raises(ModelError, match=message):
        facts_of(model)
