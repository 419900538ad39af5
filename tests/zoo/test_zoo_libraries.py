"""Models of torchvision and open_clip, with random weights. Nothing is downloaded."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from itm.core.errors import ModelError
from itm.core.extras import EXTRAS, MissingExtraError
from itm.core.sections import ZooParams
from itm.zoo.facts import preprocessing_without_weights
from itm.zoo.libraries import find_library
from itm.zoo.load import build
from itm.zoo.resolve import resolve
from itm.zoo.timm_gate import import_torchvision
from tests.zoo.named import the_model, why

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("offline")]

models: Any = import_torchvision().models
Embeddings = Callable[..., torch.Tensor]


OPEN_CLIP = {
    "model_cfg": {
        "embed_dim": 8,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 16, "head_width": 8, "patch_size": 8},
        "text_cfg": {"context_length": 4, "vocab_size": 9, "width": 8, "heads": 2, "layers": 1},
    },
    "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "interpolation": "bicubic", "resize_mode": "squash"},
}


@pytest.fixture
def clip(tmp_path: Path) -> Any:
    """Save a model of open_clip with random weights in a folder, and return it."""
    import open_clip

    torch.manual_seed(0)
    folder = tmp_path / "clip"
    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps(OPEN_CLIP))
    model = open_clip.CLIP(**json.loads(json.dumps(OPEN_CLIP))["model_cfg"]).eval()
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return model


def test_tower_of_open_clip_is_embedded_before_its_projection(tmp_path: Path, clip: Any, embeddings: Embeddings) -> None:
    model = the_model(f"open_clip:{tmp_path / 'clip'}")
    found = embeddings(build(model), 32)
    assert found.shape == (2, 16)
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.allclose(found @ clip.visual.proj, clip.encode_image(images), atol=1e-6)
    config = preprocessing_without_weights(model)
    assert (config["input_size"], config["crop_mode"], config["mean"]) == ([3, 32, 32], "squash", [0.5, 0.5, 0.5])


def test_names_of_open_clip_need_their_weights() -> None:
    assert the_model("open_clip:ViT-B-32/laion2b_s34b_b79k").architecture == "open_clip:ViT-B-32/laion2b_s34b_b79k"
    assert "ViT-B-32 has several weights; name one. It has: openai, laion400m_e31" in why("open_clip:ViT-B-32")
    assert "did you mean 'laion2b_e16'" in why("open_clip:ViT-B-32/laion2b_e17")
    assert "did you mean 'ViT-B-32'" in why("open_clip:ViT-B-33/openai")
    found, _ = resolve(ZooParams(models=("open_clip:ViT-B-32/laion*",)))
    assert len(found) > 2


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "densenet121", "swin_t", "shufflenet_v2_x0_5"])
def test_input_of_the_last_layer_of_torchvision_is_the_embedding(tmp_path: Path, name: str, embeddings: Embeddings) -> None:
    torch.manual_seed(0)
    own = models.get_model(name, num_classes=7).eval()
    state = own.state_dict()
    if name == "densenet121":  # as its published weights are
        state = {key.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): value for key, value in state.items()}
    torch.save({"model": state, "epoch": 3}, tmp_path / "own.pth")
    zoo = tmp_path / "zoo.yaml"
    entry = {"architecture": f"torchvision:{name}", "checkpoint": "own.pth", "arguments": {"num_classes": 7}}
    zoo.write_text(json.dumps({"models": [{"name": "own", **entry}]}))
    (model,), failures = resolve(ZooParams(file=zoo))
    assert not failures
    module: Any = build(model)
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        features = module.forward_features(images)
        assert torch.allclose(module.forward_head(features), own(images), atol=1e-5)
    assert module.num_classes == 7
    assert embeddings(module).shape == (2, module.classifier.in_features)


def test_torchvision_weights_are_found_in_the_cache_of_torch(tmp_path: Path, embeddings: Embeddings) -> None:
    model = the_model("torchvision:resnet18")
    assert model.name == "torchvision:resnet18.IMAGENET1K_V1"
    with pytest.raises(ModelError, match=r"resnet18-f37072fd.pth is missing .* cannot be downloaded \(HF_HUB_OFFLINE is set\)"):
        build(model)
    path = tmp_path / "torch" / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    path.parent.mkdir(parents=True)
    torch.save(models.resnet18().state_dict(), path)
    assert embeddings(build(model)).shape == (2, 512)
    config = preprocessing_without_weights(model)
    assert (config["input_size"], config["crop_pct"]) == ([3, 224, 224], 224 / 256)


def test_names_of_torchvision_are_checked() -> None:
    assert "did you mean 'resnet18'" in why("torchvision:resnet19")
    assert "did you mean 'IMAGENET1K_V2'" in why("torchvision:resnet50.IMAGENET1K_V3")
    assert "matches 'resnot*'" in why("torchvision:resnot*")
    found, _ = resolve(ZooParams(models=("torchvision:resnet[15]*", "torchvision:resnet50.*")))
    assert len(found) == 5


def test_missing_extra_fails_the_model_and_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EXTRAS, "transformers", ("no_such_package",))
    with pytest.raises(MissingExtraError, match=r"pip install 'itm-rank\[transformers\]'"):
        find_library("transformers:facebook/dinov2-small")
    found, (failure,) = resolve(ZooParams(models=("transformers:facebook/dinov2-small", "test_vit.r160_in1k")))
    assert [model.name for model in found] == ["test_vit.r160_in1k"]
    assert "itm-rank[transformers]" in failure.reason


def test_model_of_the_hub_that_is_not_here_is_a_failure_of_this_model(tmp_path: Path) -> None:
    for name in ("transformers:facebook/dinov2-small", "hf-hub:someone/model", "open_clip:hf-hub:someone/model"):
        assert "it cannot be downloaded (HF_HUB_OFFLINE is set)" in why(name)
    assert "is neither a folder nor USER/REPO" in why(f"transformers:{tmp_path / 'nowhere'}")
