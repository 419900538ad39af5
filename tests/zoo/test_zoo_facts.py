"""Preprocessing, size and cost of models."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from itm.core.errors import ModelError, ParamsError
from itm.core.types import Facts, Failure, ModelRef, Preprocessing
from itm.zoo.facts import facts, list_models, preprocessing, preprocessing_without_weights, transform, without_weights
from itm.zoo.load import build
from itm.zoo.timm_import import timm

Saved = Callable[..., tuple[ModelRef, torch.nn.Module]]
WriteZoo = Callable[..., Path]


def timms(name: str, **values: Any) -> ModelRef:
    return ModelRef(name, architecture=name, pretrained=True, **values)


def facts_of(model: ModelRef) -> Facts:
    module = without_weights(model)
    return facts(model, module, preprocessing(model, module))


@pytest.mark.parametrize("name", timm.list_models("test_*", pretrained=True))
def test_preprocessing_is_timms_own_with_and_without_weights(name: str) -> None:
    """A timm model is shown images as timm says, whether its weights are read or not, in values JSON can hold."""
    model, module = timms(name), timm.create_model(name)
    config = preprocessing(model, module)
    timm_data: Any = timm.data
    expected = timm_data.resolve_model_data_config(module)
    assert {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()} == expected
    assert json.loads(json.dumps(config)) == config
    assert preprocessing_without_weights(model) == config


def test_the_models_own_preprocessing_wins() -> None:
    """What the zoo file says overrides timm, value by value."""
    own = Preprocessing(48, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), 0.9, "bilinear")
    config = preprocessing_without_weights(timms("test_vit.r160_in1k", preprocessing=own))
    assert config == {
        "input_size": [3, 48, 48],
        "interpolation": "bilinear",
        "mean": [0.5, 0.5, 0.5],
        "std": [0.25, 0.25, 0.25],
        "crop_pct": 0.9,
        "crop_mode": "center",
    }
    some = preprocessing_without_weights(timms("test_vit.r160_in1k", preprocessing=Preprocessing(crop=1.0)))
    assert (some["crop_pct"], some["input_size"]) == (1.0, [3, 160, 160])


def test_an_image_size_among_the_arguments_is_the_input_size() -> None:
    """A model built for 64 pixels is shown 64 pixels without being told twice."""
    assert preprocessing_without_weights(timms("test_vit.r160_in1k", arguments={"img_size": 64}))["input_size"] == [3, 64, 64]


def test_preprocessing_without_weights_is_cheap() -> None:
    """The cache check of a large model takes milliseconds, since nothing is built."""
    start = time.perf_counter()
    preprocessing_without_weights(timms("vit_large_patch16_224.augreg_in21k_ft_in1k"))
    assert time.perf_counter() - start < 0.1


@pytest.mark.parametrize("function", ["small", "through_timm", "reads_numbers"])
def test_custom_modules_have_preprocessing_and_facts(factories: Path, function: str) -> None:
    """A factory's module works with or without a timm configuration, and where it cannot be built on the meta device."""
    own = Preprocessing(input_size=32, mean=(0, 0, 0), std=(1, 1, 1))
    model = ModelRef("ours", factory=f"{factories}:{function}", preprocessing=own, checkpoint=factories)
    config = preprocessing_without_weights(model)
    assert (config["input_size"], config["mean"], config["std"]) == ([3, 32, 32], [0, 0, 0], [1, 1, 1])
    known = facts_of(model)
    width, family = (96, "resnet") if function == "through_timm" else (8, "Small")
    assert (known.width, known.family, known.input_size, known.pretraining) == (width, family, 32, "")
    assert known.gmacs


def test_the_transform_makes_what_the_configuration_says() -> None:
    """An image of any shape becomes a normalised tensor of the input size, the same each time."""
    own = Preprocessing(48, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), 1.0, "bicubic")
    change = transform(preprocessing_without_weights(timms("test_vit.r160_in1k", preprocessing=own)))
    image = Image.new("RGB", (70, 50), (255, 0, 0))
    tensor = change(image)
    assert tensor.shape == (3, 48, 48)
    assert torch.equal(tensor[:, 24, 24], torch.tensor([2.0, -2.0, -2.0]))
    assert torch.equal(tensor, change(image))


def test_facts_of_known_models_agree_with_what_is_published() -> None:
    """Parameters, width and GMACs of models everybody knows."""
    resnet, vit = facts_of(timms("resnet50.a1_in1k")), facts_of(timms("vit_base_patch16_224.augreg_in21k_ft_in1k"))
    assert (resnet.parameters, resnet.width, resnet.input_size, resnet.family) == (25557032, 2048, 224, "resnet")
    assert resnet.gmacs == pytest.approx(4.09, abs=0.02)
    assert (vit.parameters, vit.width, vit.family, vit.pretraining) == (
        86567656,
        768,
        "vision_transformer",
        "augreg in21k ft in1k",
    )
    assert vit.gmacs == pytest.approx(17.56, abs=0.02)


def test_facts_come_from_shapes_alone(saved: Saved) -> None:
    """The module with its weights and the one without give the same facts, and what the zoo file says of a model stays."""
    model, _ = saved("test_vit", num_classes=3)
    told = replace(model, family="ours", pretraining="leaves")
    config = preprocessing_without_weights(told)
    known = facts(told, build(told), config)
    assert known == facts_of(told)
    assert (known.family, known.pretraining, known.width) == ("ours", "leaves", 64)
    assert facts_of(model).pretraining == ""  # the tag of one's own weights says nothing of their history


@pytest.mark.parametrize(
    "name", ["test_vit2.r160_in1k", "test_vit3.r160_in1k", "test_convnext.r160_in1k", "swin_tiny_patch4_window7_224.ms_in1k"]
)
def test_operations_are_counted_as_torch_counts_them(name: str) -> None:
    """GMACs equal those of torch's own counter, which cannot be used beside other threads."""
    model, counter = timms(name), FlopCounterMode(display=False)
    module: Any = without_weights(model).requires_grad_(False)
    size = preprocessing(model, module)["input_size"]
    with counter, torch.inference_mode():
        module.forward_head(module.forward_features(torch.zeros(1, *size, device="meta")), pre_logits=True)
    assert facts_of(model).gmacs == counter.get_total_flops() / 2e9


def test_gmacs_grow_with_the_image() -> None:
    """Four times the pixels cost a convolutional network four times the operations."""
    small, large = (
        facts_of(timms("test_resnet.r160_in1k", preprocessing=Preprocessing(input_size=size))).gmacs for size in (64, 128)
    )
    assert small
    assert large == pytest.approx(4 * small)


@pytest.mark.parametrize(
    ("function", "size", "told"), [("three_dimensions", 32, "not \\[images, width\\]"), ("small", 1, "image of 1 pixels")]
)
def test_a_model_without_embeddings_is_refused(factories: Path, function: str, size: int, told: str) -> None:
    """A module whose pass fails or gives no rows of numbers is an error that names the image size."""
    model = ModelRef(function, factory=f"{factories}:{function}", preprocessing=Preprocessing(input_size=size))
    with pytest.raises(ModelError, match=told):
        facts_of(model)


def test_models_are_listed_lazily_from_both_sources(write_zoo: WriteZoo) -> None:
    """The zoo file's models come first, then timm's, broken ones with their reason, each built only when its turn comes."""
    zoo = write_zoo(
        {"name": "test_resnet.ours", "architecture": "test_resnet", "checkpoint": "w.pth", "arguments": {"num_classes": 2}},
        {"name": "test_resnet.gone", "architecture": "test_resnet", "checkpoint": "missing.pth"},
        {"name": "test_resnet.odd", "architecture": "test_resnet", "checkpoint": "w.pth", "arguments": {"odd": 2}},
    )
    listed = dict(list_models("test_resnet*", zoo))
    assert list(listed) == ["test_resnet.ours", "test_resnet.odd", "test_resnet.gone", "test_resnet.r160_in1k"]
    assert isinstance(listed["test_resnet.ours"], Facts)
    assert isinstance(failed := listed["test_resnet.gone"], Failure)
    assert "is not a file" in failed.reason
    assert isinstance(odd := listed["test_resnet.odd"], Failure)
    assert "'odd'" in odd.reason
    start = time.perf_counter()
    assert next(list_models("*", None))[0] == timm.list_models(pretrained=True)[0]
    assert time.perf_counter() - start < 5


def test_listing_nothing_is_an_error(write_zoo: WriteZoo, tmp_path: Path) -> None:
    """A pattern without a match and a missing zoo file are errors, not empty lists."""
    with pytest.raises(ModelError, match="matches 'nothing\\*'"):
        list(list_models("nothing*", write_zoo()))
    with pytest.raises(ParamsError, match="cannot be read"):
        list(list_models("*", tmp_path / "nowhere.yaml"))
