"""Variants of a model are candidates: they are named, built as timm builds them, and left out where a model lacks them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from itm.core.errors import ModelError, ParamsError
from itm.core.params import Params
from itm.core.sections import ZooParams
from itm.core.types import ModelRef
from itm.core.variants import Variant
from itm.core.yaml_records import parse
from itm.zoo import load
from itm.zoo.construct import build_on_meta
from itm.zoo.facts import facts, preprocessing
from itm.zoo.listing import list_models
from itm.zoo.resolve import resolve
from itm.zoo.variant_module import tokens_after

Saved = Callable[..., tuple[ModelRef, Any]]
Embed = Callable[..., torch.Tensor]


def variant(model: ModelRef, text: str) -> ModelRef:
    return Variant.parse(text).of(model)


def entry(architecture: str, **values: object) -> dict[str, object]:
    return {"architecture": architecture, "checkpoint": f"{architecture}.own.safetensors", **values}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mean", Variant(pooling="mean")),
        ("token+mean@block8", Variant(block=8, pooling="token+mean")),
        ("288x288", Variant(pixels=288)),
        ("mean@96x48", Variant(pixels=(96, 48), pooling="mean")),
    ],
)
def test_a_variant_has_one_name_however_it_is_written(text: str, expected: Variant) -> None:
    assert Variant.parse(text) == expected
    assert Variant.parse(str(expected)) == expected


@pytest.mark.parametrize(
    "text", ["", "maen", "block0", "0", "-4", "4097", "96x99999", "mean@token", "288@96", "mean@", "12.5", "1e3"]
)
def test_what_is_no_variant_is_an_error(text: str) -> None:
    with pytest.raises(ModelError):
        Variant.parse(text)


def test_a_misspelled_variant_gets_a_suggestion() -> None:
    with pytest.raises(ModelError, match=r"'maen' is not a variant of a model; give token, .*; did you mean 'mean'"):
        Variant.parse("maen")


@pytest.mark.parametrize(("own", "pooling", "of_timm"), [("token", "mean", "avg"), ("avg", "token", "token")])
def test_pooling_is_that_of_timm(saved: Saved, embeddings: Embed, own: str, pooling: str, of_timm: str) -> None:
    model, module = saved("test_vit", global_pool=own)
    module.reset_classifier(0, of_timm)
    torch.testing.assert_close(embeddings(load.build(variant(model, pooling)), 160), embeddings(module, 160), rtol=0, atol=0)


def test_class_token_and_mean_are_side_by_side(saved: Saved, embeddings: Embed) -> None:
    model, module = saved("test_vit")
    both = embeddings(load.build(variant(model, "token+mean")), 160)
    torch.testing.assert_close(both[:, :64], embeddings(module, 160), rtol=0, atol=0)
    torch.testing.assert_close(both[:, 64:], embeddings(load.build(variant(model, "mean")), 160), rtol=0, atol=0)


@pytest.mark.parametrize("architecture", ["test_resnet", "test_efficientnet", "test_convnext", "test_mambaout", "test_byobnet"])
def test_an_earlier_block_of_a_convolutional_network_is_the_mean_of_its_feature_map(
    saved: Saved, embeddings: Embed, architecture: str
) -> None:
    model, module = saved(architecture)
    images = torch.rand(2, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        (level,) = module.forward_intermediates(images, indices=[1], intermediates_only=True)
    torch.testing.assert_close(embeddings(load.build(variant(model, "block2")), 160), level.mean((2, 3)), rtol=0, atol=1e-6)


def test_an_earlier_block_of_a_transformer_costs_less(saved: Saved) -> None:
    model, _ = saved("test_vit")
    found = {text: variant(model, text) for text in ("block2", "block4")} | {"plain": model}
    costs = {}
    for text, one in found.items():
        module = load.build(one)
        known = facts(one, module, preprocessing(one, module))
        assert known.gmacs
        costs[text] = known.parameters, known.gmacs
    assert costs["block2"] < costs["block4"] < costs["plain"]
    assert costs["block2"][1] < costs["block4"][1] < costs["plain"][1]


def test_one_forward_pass_gives_the_tokens_of_several_blocks_bit_for_bit(saved: Saved, embeddings: Embed) -> None:
    model, module = saved("test_vit")
    images = torch.rand(2, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        tokens = tokens_after(module, {2, 4, None}, images)
        for block, text in ((2, "block2"), (4, "block4")):
            pooled = module.forward_head(tokens[block], pre_logits=True)
            torch.testing.assert_close(pooled, embeddings(load.build(variant(model, text)), 160), rtol=0, atol=0)
        torch.testing.assert_close(tokens[None], module.forward_features(images), rtol=0, atol=0)
        assert tokens_after(module, {2}, images).keys() == {2}


@pytest.mark.parametrize(
    ("architecture", "text", "reason"),
    [
        ("test_resnet", "mean", "has no tokens to choose from"),
        ("test_vit", "block99", "an earlier one is between 1 and"),
        ("test_resnet", "block5", "an earlier one is between 1 and 4"),
        ("test_vit3", "token", "has no class token"),
        ("test_vit", "token", "is the plain model, whose embedding is the class token"),
    ],
)
def test_a_variant_that_a_model_lacks_has_a_reason(saved: Saved, architecture: str, text: str, reason: str) -> None:
    model, _ = saved(architecture)
    with pytest.raises(ModelError, match=f"{architecture}.mine@{text}: .*{reason}"):
        load.build(variant(model, text))


@pytest.mark.parametrize(("architecture", "text"), [("efficientformer_l1", "block1"), ("pit_ti_224", "block1")])
def test_what_timm_refuses_is_an_error_of_the_model(architecture: str, text: str) -> None:
    with pytest.raises(ModelError, match=f"{architecture}@{text}: there is no such variant"):
        build_on_meta(variant(ModelRef(architecture, architecture), text))


def test_the_pooling_of_the_model_itself_is_no_change_of_an_earlier_block(saved: Saved, embeddings: Embed) -> None:
    model, _ = saved("test_vit")
    plain, named = (embeddings(load.build(variant(model, text)), 160) for text in ("block2", "block2@token"))
    torch.testing.assert_close(named, plain, rtol=0, atol=0)


def test_pixels_of_a_transformer_resample_its_positions(saved: Saved, embeddings: Embed) -> None:
    model, module = saved("test_vit")
    larger = load.build(variant(model, "192"))
    assert embeddings(larger, 192).shape == embeddings(module, 160).shape
    assert larger.pos_embed.shape[1] > module.pos_embed.shape[1]  # type: ignore[union-attr, index]


def test_a_factory_of_a_timm_model_has_variants_too(saved: Saved, factories: Path, embeddings: Embed) -> None:
    plain, module = saved("test_resnet")
    own = replace(plain, architecture=None, factory=f"{factories}:through_timm")
    built = load.build(variant(own, "block2"))
    known = facts(variant(own, "block2"), built, preprocessing(own, module))
    assert embeddings(built, 96).shape == (2, known.width)


def test_variants_follow_each_model_that_has_them(write_zoo: Callable[..., Path], caplog: pytest.LogCaptureFixture) -> None:
    zoo = write_zoo(entry("test_resnet"), entry("test_vit", name="vit"))
    with caplog.at_level("INFO", logger="itm"):
        models, failures = resolve(ZooParams(file=zoo, variants=("token", "mean", "160", "128")))
    names = ["test_resnet.own", "test_resnet.own@128", "vit", "vit@mean", "vit@128"]
    assert ([model.name for model in models], failures) == (names, [])
    no_tokens = "test_resnet.own@token: the model has no tokens to choose from; its pooling is part of it."
    assert caplog.messages == [
        f"no model has the variant @token. {no_tokens}",
        "@mean is left out for 1 model: there is none, or it is the model itself",
        "no model has the variant @160. test_resnet.own@160: is the plain model, whose images have so many pixels.",
    ]


def test_names_and_wildcards_can_have_a_variant(write_zoo: Callable[..., Path]) -> None:
    zoo = write_zoo(entry("test_resnet"), entry("test_vit"))
    models, failures = resolve(
        ZooParams(file=zoo, models=("test_*@mean", "test_resnet.own@mean", "nothing@mean", "test_*@near"))
    )
    assert [model.name for model in models] == ["test_vit.own@mean", "test_resnet.own@mean"]  # a name asks for this one
    assert [failure.model for failure in failures] == ["nothing@mean", "test_*@near"]


def test_an_entry_of_a_zoo_file_names_its_variants(write_zoo: Callable[..., Path]) -> None:
    zoo = write_zoo(entry("test_vit", variants=["mean", 192, "192@token+mean"]), entry("test_resnet", variants="block2"))
    models, failures = resolve(ZooParams(file=zoo))
    names = [f"test_vit.own{variant}" for variant in ("", "@mean", "@192", "@192@token+mean")]
    assert ([model.name for model in models], failures) == ([*names, "test_resnet.own", "test_resnet.own@block2"], [])


def test_an_invalid_variant_of_an_entry_fails_alone(write_zoo: Callable[..., Path]) -> None:
    zoo = write_zoo(entry("test_vit", variants=["maen", "mean", True]))
    models, failures = resolve(ZooParams(file=zoo))
    assert [model.name for model in models] == ["test_vit.own", "test_vit.own@mean"]
    assert [failure.model for failure in failures] == ["test_vit.own@maen", "test_vit.own@True"]
    assert "models[0]: variants: 'maen' is not a variant of a model" in failures[0].reason


def test_variants_of_the_parameters_can_be_numbers_or_one_word() -> None:
    assert parse({"zoo": {"variants": [96, "mean"]}}, Params, "test").zoo.variants == ("96", "mean")
    assert parse({"zoo": {"variants": "mean"}}, Params, "test").zoo.variants == ("mean",)
    with pytest.raises(ParamsError, match=r"zoo.variants.1: 'maen' is not a variant"):
        parse({"zoo": {"variants": ["mean", "maen"]}}, Params, "test")


def test_a_variant_without_a_model_has_a_reason(write_zoo: Callable[..., Path]) -> None:
    (failure,) = resolve(ZooParams(file=write_zoo(entry("test_vit")), models=("@mean",)))[1]
    assert failure.reason == "there is no model before '@'; write MODEL@mean."


def test_models_are_listed_with_the_cost_of_a_variant(write_zoo: Callable[..., Path]) -> None:
    zoo = write_zoo(entry("test_vit"), entry("test_resnet"))
    listed: list[list[Any]] = [[*list_models(f"test_*.own{variant}", zoo)] for variant in ("", "@block2")]
    plain, smaller = listed
    assert [one.name for one in smaller] == ["test_vit.own@block2", "test_resnet.own@block2"]
    for before, after in zip(plain, smaller, strict=True):
        assert after.facts.parameters < before.facts.parameters


def test_a_wildcard_finds_variants_also_where_a_zoo_file_names_one_of_them(write_zoo: Callable[..., Path]) -> None:
    zoo = write_zoo(entry("test_vit", variants=["mean"]), entry("test_vit", name="other.vit"))
    models, failures = resolve(ZooParams(file=zoo, models=("*@mean",)))
    assert ([model.name for model in models], failures) == (["test_vit.own@mean", "other.vit@mean"], [])


def test_a_name_with_the_separator_is_refused(write_zoo: Callable[..., Path]) -> None:
    zoo = write_zoo(entry("test_vit", name="vit@home"), entry("test_vit"))
    models, (failure,) = resolve(ZooParams(file=zoo))
    assert [model.name for model in models] == ["test_vit.own"]
    assert "'@' is between a model and its variant; give another `name`" in failure.reason


def test_variants_of_a_name_that_is_used_twice_are_invalid_too(write_zoo: Callable[..., Path]) -> None:
    zoo = write_zoo(entry("test_vit", name="a", variants=["mean"]), entry("test_resnet", name="a"))
    models, failures = resolve(ZooParams(file=zoo))
    assert models == []
    assert "both named 'a'" in failures[0].reason
