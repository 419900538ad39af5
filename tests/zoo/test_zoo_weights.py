"""Every weight of a model comes from its file, on every path on which weights are loaded."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from itm.core.errors import ModelError
from itm.core.types import ModelRef, Preprocessing
from itm.zoo.load import build
from itm.zoo.timm_gate import timm

Saved = Callable[..., tuple[ModelRef, torch.nn.Module]]
Embeddings = Callable[..., torch.Tensor]
State = dict[str, torch.Tensor]

RANDOM_PARTS = """
import torch
from torch import nn


class Projected(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3)
        projection = torch.eye(8) if kind == "constant" else torch.randn(8, 8)
        if kind == "attribute":
            self.projection = projection
        else:
            self.register_buffer("projection", projection, persistent=False)

    def forward_features(self, x):
        return self.stem(x)

    def forward_head(self, x, pre_logits=False):
        return x.mean((2, 3)) @ self.projection


class Deaf(Projected):
    def load_state_dict(self, state_dict, strict=True, assign=False):
        return super().load_state_dict({}, strict=False)._replace(missing_keys=[])


def projected(kind):
    return Projected(kind)


def deaf():
    return Deaf("constant")
"""


def changed(model: ModelRef, change: Callable[[State], Any], **changes: Any) -> ModelRef:
    """Save changed weights of `model` with torch.save, and return the model with this file and the other `changes`."""
    assert model.checkpoint is not None
    path = model.checkpoint.with_suffix(".pth")
    torch.save(change(load_file(model.checkpoint)), path)
    return replace(model, checkpoint=path, **changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: {"foo": torch.zeros(3)}, "75 missing in the file.*1 unexpected in the file: foo"),
        (lambda state: dict([*state.items()][:6]), "missing in the file"),
        (lambda state: {k: v for k, v in state.items() if "running_mean" not in k}, "15 missing in the file: conv1.1.running"),
        (lambda state: state | {"layer9.weight": torch.zeros(3)}, "1 unexpected in the file: layer9.weight"),
        (lambda state: state | {"bn1.weight": torch.zeros(5)}, "1 with another shape: bn1.weight"),
    ],
    ids=["unrelated", "partial", "no buffers", "more layers", "shape"],
)
@pytest.mark.parametrize("pretrained", [True, False])
def test_wrong_file_is_refused(saved: Saved, change: Callable[[State], Any], message: str, pretrained: bool) -> None:
    model, _ = saved("test_resnet", num_classes=0)
    with pytest.raises(ModelError, match=message):
        build(changed(model, change, pretrained=pretrained))


def test_pretrained_entry_without_head_ignores_the_head_of_the_file(saved: Saved, embeddings: Embeddings) -> None:
    model, module = saved("test_resnet", num_classes=3)
    headless = replace(model, pretrained=True, arguments={"num_classes": 0})
    assert torch.equal(embeddings(build(headless)), embeddings(module))


def test_pretrained_entry_takes_prefixed_weights(saved: Saved, embeddings: Embeddings) -> None:
    model, module = saved("test_resnet", num_classes=3)
    prefixed = changed(model, lambda state: {"state_dict": {f"net.{k}": v for k, v in state.items()}}, pretrained=True)
    assert torch.equal(embeddings(build(replace(prefixed, arguments={"num_classes": 0}))), embeddings(module))


@pytest.mark.parametrize(
    ("architecture", "arguments"),
    [
        ("test_vit", {"depth": 2}),
        ("test_vit", {"depth": 12}),
        ("test_vit", {"global_pool": "map"}),
        ("test_vit", {"global_pool": "avg"}),
        ("test_resnet", {"layers": [1, 1, 1, 2]}),
        ("test_convnext", {"depths": [1, 1, 1, 1]}),
    ],
)
def test_changed_structure_is_refused(saved: Saved, architecture: str, arguments: dict[str, Any]) -> None:
    model, _ = saved(architecture)
    with pytest.raises(ModelError, match="the weights do not fit the model"):
        build(replace(model, pretrained=True, arguments={"num_classes": 0, **arguments}))


def test_conversions_of_timm_are_kept(saved: Saved) -> None:
    model, module = saved("test_vit")
    weights = module.state_dict()
    grey: Any = build(replace(model, pretrained=True, arguments={"num_classes": 0, "in_chans": 1}))
    assert torch.allclose(grey.patch_embed.proj.weight, weights["patch_embed.proj.weight"].sum(1, keepdim=True))
    small: Any = build(replace(model, pretrained=True, preprocessing=Preprocessing(input_size=64)))
    assert small.pos_embed.shape[1] == 1 + 16
    assert torch.equal(small.blocks[0].attn.qkv.weight, weights["blocks.0.attn.qkv.weight"])


def test_first_layer_that_timm_cannot_convert_is_refused(saved: Saved) -> None:
    model, _ = saved("naflexvit_base_patch16_gap", embed_dim=64, depth=1, num_heads=2, num_classes=0)
    with pytest.raises(ModelError, match=r"embeds\.proj\.weight"):
        build(replace(model, pretrained=True, arguments={**model.arguments, "in_chans": 1}))


def test_published_weights_may_lack_layers_at_their_constant_start(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "convnextv2_atto.fcmae"
    model, module = saved(name, num_classes=0)
    own = changed(model, lambda state: {k: v for k, v in state.items() if not k.startswith("head.norm")}, pretrained=True)
    monkeypatch.setattr("itm.zoo.load.pretrained_file", lambda _: own.checkpoint)
    built: Any = build(ModelRef(name, architecture=name, pretrained=True))
    assert torch.equal(built.stem[0].weight, module.state_dict()["stem.0.weight"])
    assert torch.equal(built.head.norm.weight, torch.ones(320))
    with pytest.raises(ModelError, match=r"missing in the file: head\.norm"):
        build(own)


@pytest.mark.parametrize("kind", ["buffer", "attribute"])
def test_factory_with_random_tensors_outside_its_state_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ModelError, match="projection of the factory is random and not in the weight file"):
        build(projected(tmp_path, "projected", kind=kind))


def test_factory_with_constant_buffer_is_built(tmp_path: Path) -> None:
    assert torch.equal(build(projected(tmp_path, "projected", kind="constant")).projection, torch.eye(8))  # type: ignore[arg-type]


def test_factory_that_ignores_its_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"does not take stem\.weight, stem\.bias from the file"):
        build(projected(tmp_path, "deaf"))


def projected(folder: Path, function: str, **arguments: Any) -> ModelRef:
    (folder / "parts.py").write_text(RANDOM_PARTS)
    save_file({"stem.weight": torch.rand(8, 3, 3, 3), "stem.bias": torch.rand(8)}, folder / "stem.safetensors")
    return ModelRef(
        "odd", factory=f"{folder / 'parts.py'}:{function}", arguments=arguments, checkpoint=folder / "stem.safetensors"
    )


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


def test_computed_buffers_of_the_file_must_be_those_of_the_model(tmp_path: Path) -> None:
    model = projected(tmp_path, "projected", kind="constant")
    build(changed(model, lambda state: state | {"projection": torch.eye(8)}))
    with pytest.raises(ModelError, match="1 unexpected in the file: projection"):
        build(changed(model, lambda state: state | {"projection": torch.eye(8) * 2}))


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
