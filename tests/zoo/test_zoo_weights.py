"""Every weight of a model comes from its file, on every path on which weights are loaded."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from itm.core.errors import ModelError
from itm.core.types import ModelRef, Preprocessing
from itm.zoo.load import build

pytestmark = pytest.mark.slow

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


@pytest.mark.parametrize(("in_file", "asked"), [(1, 3), (3, 1)])
def test_other_input_channels_are_named(saved: Saved, in_file: int, asked: int) -> None:
    model, _ = saved("test_resnet", in_chans=in_file)
    with pytest.raises(ModelError, match=rf"Only the input channels differ: set `arguments: \{{in_chans: {in_file}\}}`"):
        build(replace(model, arguments={"in_chans": asked}))


def test_pretrained_entry_takes_a_head_of_its_own_file(saved: Saved) -> None:
    model, module = saved("test_resnet", num_classes=3)
    built: Any = build(replace(model, pretrained=True))
    assert torch.equal(built.fc.weight, module.state_dict()["fc.weight"])


def test_computed_buffers_of_the_file_must_be_those_of_the_model(tmp_path: Path) -> None:
    model = projected(tmp_path, "projected", kind="constant")
    build(changed(model, lambda state: state | {"projection": torch.eye(8)}))
    with pytest.raises(ModelError, match="1 unexpected in the file: projection"):
        build(changed(model, lambda state: state | {"projection": torch.eye(8) * 2}))
