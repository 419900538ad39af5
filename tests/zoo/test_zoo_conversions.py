"""Weights under the names and sizes of other versions and authors are converted as timm does."""

import logging
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from itm.core.errors import ModelError
from itm.core.types import ModelRef
from itm.zoo.load import build
from itm.zoo.timm_gate import timm

Saved = Callable[..., tuple[ModelRef, torch.nn.Module]]
Embeddings = Callable[..., torch.Tensor]
State = dict[str, torch.Tensor]


def changed(model: ModelRef, change: Callable[[State], Any]) -> ModelRef:
    """Save changed weights of `model` with torch.save, and return the model with this file."""
    assert model.checkpoint is not None
    path = model.checkpoint.with_suffix(".pth")
    torch.save(change(load_file(model.checkpoint)), path)
    return replace(model, checkpoint=path)


def old_swin(new: State, buffers: State) -> State:
    """Return weights under the names of timm before 0.9, with the buffers that were stored then."""

    def name(key: str) -> str:
        part = key.split(".")
        if "downsample" in part:
            part[1] = str(int(part[1]) - 1)
        return ".".join(part).replace("head.fc.", "head.")

    return {name(k): v for k, v in new.items()} | buffers


def test_weights_of_an_older_timm_are_converted(saved: Saved, embeddings: Embeddings) -> None:
    arguments = {"embed_dim": 24, "depths": [2, 2, 2, 2], "num_classes": 3, "img_size": 64, "window_size": 4}
    model, module = saved("swin_tiny_patch4_window7_224", **arguments)
    buffers = {k: v for k, v in module.named_buffers() if k not in module.state_dict()}
    assert buffers
    for change in (lambda state: {"model": old_swin(state, buffers)}, lambda state: state | buffers):
        assert torch.equal(embeddings(build(changed(model, change))), embeddings(module))


def test_layers_that_timm_no_longer_has_are_converted(saved: Saved, caplog: pytest.LogCaptureFixture) -> None:
    model, module = saved("test_vit", num_classes=3)
    old = changed(model, lambda state: state | {"pre_logits.fc.weight": torch.zeros(64, 64)})
    with caplog.at_level(logging.INFO, "itm"):
        built = build(old)
    assert torch.equal(built.state_dict()["head.weight"], module.state_dict()["head.weight"])
    assert "are converted to the names and sizes of this version of its library" in caplog.text


def test_names_of_the_authors_are_converted(saved: Saved, embeddings: Embeddings) -> None:
    model, module = saved("convnext_atto", depths=[1, 1, 1, 1], dims=[8, 16, 24, 32], num_classes=3, conv_mlp=False)

    def original(key: str) -> str:
        if key.startswith("head.fc."):
            return key.replace("head.fc.", "head.")
        if key.startswith("stem."):
            return key.replace("stem.", "downsample_layers.0.")
        key = re.sub(r"stages\.(\d)\.downsample\.", r"downsample_layers.\1.", key)
        key = re.sub(r"stages\.(\d)\.blocks\.", r"stages.\1.", key).replace("conv_dw.", "dwconv.")
        return key.replace("mlp.fc1.", "pwconv1.").replace("mlp.fc2.", "pwconv2.").replace("head.norm.", "norm.")

    published = changed(model, lambda state: {"model": {original(key): value for key, value in state.items()}})
    assert torch.equal(embeddings(build(published)), embeddings(module))


def test_stored_buffers_of_other_architectures_are_accepted(saved: Saved, embeddings: Embeddings) -> None:
    model, module = saved("beit_base_patch16_224", embed_dim=24, depth=1, num_heads=2, num_classes=0, img_size=64)
    buffers = {key: value for key, value in module.named_buffers() if key not in module.state_dict()}
    assert buffers
    assert torch.equal(embeddings(build(changed(model, lambda state: state | buffers))), embeddings(module))


def test_jax_arrays_of_a_vision_transformer_are_read(tmp_path: Path, embeddings: Embeddings) -> None:
    arguments = {"embed_dim": 32, "depth": 1, "num_heads": 2, "num_classes": 0, "img_size": 64, "patch_size": 16}
    module: Any = timm.create_model("vit_tiny_patch16_224", **arguments).eval()
    path = tmp_path / "vit.npz"
    np.savez(path, **jax_arrays(module.state_dict()))
    model = ModelRef("jax", architecture="vit_tiny_patch16_224", arguments=arguments, checkpoint=path)
    assert torch.allclose(embeddings(build(model)), embeddings(module), atol=1e-5)
    with pytest.raises(ModelError, match=r"vit\.npz: the arrays do not fit the model"):
        build(replace(model, arguments={**arguments, "depth": 2}))


def jax_arrays(state: State) -> dict[str, np.ndarray]:
    """Return weights of a vision transformer of one block as the original JAX code stores them."""
    arrays = {key: value.numpy() for key, value in state.items()}
    block = "Transformer/encoderblock_0"
    qkv, bias = arrays["blocks.0.attn.qkv.weight"].reshape(3, 2, 16, 32), arrays["blocks.0.attn.qkv.bias"].reshape(3, 2, 16)
    found = {
        "cls": arrays["cls_token"],
        "embedding/kernel": arrays["patch_embed.proj.weight"].transpose(2, 3, 1, 0),
        "embedding/bias": arrays["patch_embed.proj.bias"],
        "Transformer/posembed_input/pos_embedding": arrays["pos_embed"],
        "Transformer/encoder_norm/scale": arrays["norm.weight"],
        "Transformer/encoder_norm/bias": arrays["norm.bias"],
        f"{block}/MultiHeadDotProductAttention_1/out/kernel": arrays["blocks.0.attn.proj.weight"].T.reshape(2, 16, 32),
        f"{block}/MultiHeadDotProductAttention_1/out/bias": arrays["blocks.0.attn.proj.bias"],
    }
    for number, name in enumerate(("query", "key", "value")):
        found[f"{block}/MultiHeadDotProductAttention_1/{name}/kernel"] = qkv[number].transpose(2, 0, 1)
        found[f"{block}/MultiHeadDotProductAttention_1/{name}/bias"] = bias[number]
    for number, place in ((0, "LayerNorm_0"), (2, "LayerNorm_2")):
        own = "norm1" if number == 0 else "norm2"
        found[f"{block}/{place}/scale"] = arrays[f"blocks.0.{own}.weight"]
        found[f"{block}/{place}/bias"] = arrays[f"blocks.0.{own}.bias"]
    for number in (0, 1):
        found[f"{block}/MlpBlock_3/Dense_{number}/kernel"] = arrays[f"blocks.0.mlp.fc{number + 1}.weight"].T
        found[f"{block}/MlpBlock_3/Dense_{number}/bias"] = arrays[f"blocks.0.mlp.fc{number + 1}.bias"]
    return found
