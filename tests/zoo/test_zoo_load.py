"""Local checkpoints are loaded strictly, or errors say what to do."""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from itm.core.errors import ModelError
from itm.core.keys import file_hash
from itm.core.types import ModelRef, Preprocessing
from itm.zoo.load import build, definition, weights_hash

pytestmark = pytest.mark.slow

Saved = Callable[..., tuple[ModelRef, torch.nn.Module]]
Embeddings = Callable[..., torch.Tensor]


def rewritten(model: ModelRef, change: Callable[[dict[str, Any]], Any]) -> ModelRef:
    """Apply `change` to the weights of `model` and save them with torch.save."""
    assert model.checkpoint is not None
    path = model.checkpoint.with_suffix(".pth")
    torch.save(change(load_file(model.checkpoint)), path)
    return replace(model, checkpoint=path)


@pytest.mark.parametrize("architecture", ["test_resnet", "test_vit", "test_efficientnet", "test_convnext", "test_mambaout"])
def test_checkpoint_round_trip(saved: Saved, embeddings: Embeddings, architecture: str) -> None:
    model, module = saved(architecture, num_classes=7)
    built = build(replace(model, preprocessing=Preprocessing(input_size=160)))
    assert not built.training
    assert torch.equal(embeddings(built, 160), embeddings(module, 160))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state, "args": argparse.Namespace(lr=0.1)},
        lambda state: {f"module.{key}": tensor for key, tensor in state.items()},
        lambda state: {"state_dict": {f"module._orig_mod.{key}": tensor for key, tensor in state.items()}},
    ],
    ids=["plain", "state_dict", "model with arguments", "DataParallel", "DataParallel of a compiled module"],
)
def test_wrapped_and_prefixed_state_dicts_load(saved: Saved, embeddings: Embeddings, wrap: Callable[..., Any]) -> None:
    model, module = saved()
    assert torch.equal(embeddings(build(rewritten(model, wrap))), embeddings(module))


def test_half_precision_weights_become_float32(saved: Saved) -> None:
    model, module = saved()
    assert model.checkpoint is not None
    save_file({k: v.half() if v.ndim > 1 else v for k, v in module.state_dict().items()}, model.checkpoint)
    parameters = dict(build(model).named_parameters())
    assert {p.dtype for p in parameters.values()} == {torch.float32}
    assert torch.equal(parameters["conv1.0.weight"], dict(module.named_parameters())["conv1.0.weight"].half().float())


def test_checkpoint_without_batch_counters_loads(saved: Saved, embeddings: Embeddings) -> None:
    model, module = saved()
    old = rewritten(model, lambda state: {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")})
    assert torch.equal(embeddings(build(old)), embeddings(module))


def test_fixed_size_architecture_uses_input_size(saved: Saved) -> None:
    model, _ = saved("test_vit", img_size=64)
    built: Any = build(replace(model, arguments={}, preprocessing=Preprocessing(input_size=64)))
    assert built.patch_embed.img_size == (64, 64)


def test_message_lists_keys_that_do_not_fit(saved: Saved) -> None:
    model, module = saved()
    gone = [key for key in module.state_dict() if "layer1" in key and "num_batches" not in key][:7]

    def spoil(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        kept = {key: tensor for key, tensor in state.items() if key not in gone}
        return {**kept, "extra": torch.zeros(1), "bn1.weight": torch.zeros(5)}

    with pytest.raises(ModelError) as caught:
        build(rewritten(model, spoil))
    text = str(caught.value)
    assert f"7 missing in the file: {', '.join(gone[:5])} and 2 more" in text
    assert "1 unexpected in the file: extra" in text
    assert "1 with another shape: bn1.weight [5] in the file" in text
    assert "Check `arguments`" in text
    assert str(model.checkpoint and model.checkpoint.with_suffix(".pth")) in text


@pytest.mark.parametrize(
    ("saved_with", "asked", "hint"), [(12, {}, 12), (0, {"num_classes": 5}, 0), (12, {"num_classes": 0}, 12)]
)
def test_hint_for_another_head(saved: Saved, saved_with: int, asked: dict[str, int], hint: int) -> None:
    model, _ = saved("test_efficientnet", num_classes=saved_with)
    with pytest.raises(ModelError, match=rf"Only the head differs: set `arguments: \{{num_classes: {hint}\}}`"):
        build(replace(model, arguments=asked))


def test_hint_for_another_architecture(saved: Saved) -> None:
    model, _ = saved("test_resnet")
    with pytest.raises(ModelError, match="probably of another model: check `architecture`"):
        build(replace(model, architecture="test_vit"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>404</html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"\x00\x01garbage" * 50, "is damaged or not a weight file"),
        (None, "is damaged or not a weight file"),
    ],
    ids=["empty", "web page", "LFS pointer", "garbage", "truncated"],
)
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_unreadable_file_is_explained(saved: Saved, content: bytes | None, message: str, suffix: str) -> None:
    model, _ = saved()
    assert model.checkpoint is not None
    whole = rewritten(model, lambda state: state).checkpoint if suffix == ".pth" else model.checkpoint
    assert whole is not None
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2] if content is None else content)
    with pytest.raises(ModelError, match=message) as caught:
        build(replace(model, checkpoint=whole))
    assert str(whole) in str(caught.value)


class Trainer:
    """Object that a training script saves with the weights."""


def test_pickle_with_code_is_rejected(saved: Saved) -> None:
    model = rewritten(saved()[0], lambda state: {"state_dict": state, "trainer": Trainer()})
    with pytest.raises(ModelError, match=r"needs \S*Trainer, and reading it could.*convert it once"):
        build(model)


@pytest.mark.parametrize(
    ("content", "message"),
    [({"epoch": 3, "loss": 0.1}, "the keys epoch, loss"), ([1, 2], "a list"), ({}, "instead of named weights")],
)
def test_file_without_weights_is_an_error(saved: Saved, content: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build(rewritten(saved()[0], lambda _: content))


def test_missing_weight_file_is_an_error(saved: Saved) -> None:
    model, _ = saved()
    assert model.checkpoint is not None
    model.checkpoint.unlink()
    for function in (build, weights_hash):
        with pytest.raises(ModelError, match=r"test_resnet\.mine\.safetensors is not a file"):
            function(model)


def test_model_without_weights_is_an_error() -> None:
    with pytest.raises(ModelError, match="has no weights"):
        build(ModelRef("bare", architecture="test_resnet"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arguments": {"num_clases": 3}}, "does not take the argument 'num_clases'; did you mean 'num_classes'"),
        ({"arguments": {"block": 3}}, "cannot be built"),
        ({"architecture": "test_resnett"}, "has no model 'test_resnett'; did you mean 'test_resnet'"),
        ({"architecture": "test_resnet.nope"}, "has no 'test_resnet.nope'"),
        ({"architecture": None}, "neither an architecture nor a factory"),
        ({"arguments": {"features_only": True}}, "without forward_features and forward_head"),
    ],
)
def test_build_errors(saved: Saved, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build(replace(saved()[0], **changes))


def test_weights_hash_is_the_hash_of_the_file(saved: Saved) -> None:
    model, module = saved()
    assert model.checkpoint is not None
    before = weights_hash(model)
    assert before == file_hash(model.checkpoint)
    state = module.state_dict()
    state["fc.bias"][0] += 1
    save_file(state, model.checkpoint)
    assert weights_hash(model) != before


def test_definition_depends_on_code_and_arguments_not_paths(saved: Saved, factories: Path) -> None:
    model, _ = saved()
    own = replace(model, architecture=None, factory=f"{factories}:small")
    moved = factories.rename(factories.with_name("moved.py"))
    elsewhere = replace(own, factory=f"{moved}:small", checkpoint=Path("other.pth"))
    moved_definition = definition(elsewhere)
    factories.write_bytes(moved.read_bytes())
    assert definition(own) == moved_definition
    factories.write_text(f"{factories.read_text()}\n# changed")
    others = [definition(model), definition(replace(model, arguments={"num_classes": 3})), definition(own), moved_definition]
    assert all(a != b for i, a in enumerate(others) for b in others[:i])
