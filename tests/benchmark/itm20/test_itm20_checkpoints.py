"""Each checkpoint of the benchmark is found, downloaded, built and loaded as published."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch

from itm.benchmark.itm20.files import find_weights, weights_path
from itm.benchmark.itm20.pool import CHECKPOINTS, checkpoints
from itm.benchmark.itm20.run import FACTORIES
from itm.core.types import ModelRef
from itm.zoo.factory import load_factory
from itm.zoo.load import build
from itm.zoo.timm_gate import import_torchvision, timm
from itm.zoo.timm_names import timm_config

pytestmark = pytest.mark.slow

published = import_torchvision().models


def test_file_with_url_is_downloaded_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    (one,) = checkpoints(["googlenet"])
    (here / one.file).write_bytes(b"weights")
    there, gone = (replace(one, published=f"{folder.as_uri()}/{one.file}") for folder in (here, here / "gone"))
    (waiting,) = find_weights([there], fetch=False)
    assert (waiting.location, weights_path(one).exists()) == (None, False)
    (lost,) = find_weights([gone], fetch=True)
    assert (lost.location, lost.state) == (None, f"missing: download {gone.published}")
    (found,) = find_weights([there], fetch=True)
    assert found.location == str(weights_path(one))
    assert weights_path(one).read_bytes() == b"weights"
    assert find_weights([gone], fetch=True) == (found,)


def test_checkpoints_are_distinct_and_exist() -> None:
    assert len({checkpoint.name for checkpoint in CHECKPOINTS}) == len(checkpoints(["*"])) == 20
    for checkpoint in CHECKPOINTS:
        if checkpoint.factory:
            assert callable(load_factory(f"{FACTORIES}:{checkpoint.factory}"))
        else:
            assert timm_config(checkpoint.name)["hf_hub_id"] == f"timm/{checkpoint.name}"


@pytest.mark.parametrize("name", ["googlenet", "mnasnet1_0", "mobilenet_v2"])
def test_torchvision_networks_give_torchvision_logits(tmp_path: Path, name: str) -> None:
    torch.manual_seed(0)
    images = torch.randn(1, 3, 64, 64)
    network = getattr(published, name)(weights=None, **({"init_weights": False} if name == "googlenet" else {})).eval()
    torch.save(network.state_dict(), tmp_path / "saved.pth")
    module: Any = build(ModelRef(name, factory=f"{FACTORIES}:{name}", checkpoint=tmp_path / "saved.pth"))
    with torch.inference_mode():
        assert torch.equal(module.forward_head(module.forward_features(images)), network(images))


@pytest.mark.parametrize("name", ["mocov3_vitb16", "simmim_vitb16"])
def test_encoders_load_from_pretraining_checkpoints(name: str) -> None:
    with torch.device("meta"):
        module = load_factory(f"{FACTORIES}:{name}")()
        assert isinstance(module, torch.nn.Module)
        if name == "mocov3_vitb16":
            own = timm.create_model("vit_base_patch16_224", num_classes=0).state_dict()
            state = {f"{part}.{key}": value for part in ("base_encoder", "momentum_encoder") for key, value in own.items()}
            others = ("base_encoder.head.0.weight", "momentum_encoder.head.0.weight", "predictor.0.weight")
        else:
            shared = {"use_rel_pos_bias": False, "use_shared_rel_pos_bias": True, "global_pool": "token"}
            own = timm.create_model("beit_base_patch16_224", num_classes=0, **shared).state_dict()
            state = {f"encoder.{key}": value for key, value in own.items()}
            others = ("encoder.mask_token", "encoder.rel_pos_bias.relative_position_index", "decoder.0.weight")
        result = module.load_state_dict(state | dict.fromkeys(others, torch.empty(1)), strict=False)
    assert (result.missing_keys, result.unexpected_keys) == ([], [])
