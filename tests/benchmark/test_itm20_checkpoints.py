"""Each row of the table has a checkpoint that is found, fetched, built and read as it was published."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch

from itm.benchmark.itm20.files import look_at_weights, own_file
from itm.benchmark.itm20.pool import CHECKPOINTS, checkpoints
from itm.benchmark.itm20.run import FACTORIES
from itm.core.types import ModelRef
from itm.zoo.factory import load_factory
from itm.zoo.load import build
from itm.zoo.timm_import import import_torchvision, timm
from itm.zoo.timm_names import timm_config

published = import_torchvision().models


def test_a_file_with_an_address_is_fetched_where_there_is_a_network(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that timm does not have is fetched once from its address; one that cannot be had leaves its checkpoint out."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    (one,) = checkpoints(["googlenet"])
    (here / one.file).write_bytes(b"weights")
    there, gone = (replace(one, published=f"{folder.as_uri()}/{one.file}") for folder in (here, here / "gone"))
    (waiting,) = look_at_weights([there], fetch=False)
    assert (waiting.place, own_file(one).exists()) == (None, False)
    (lost,) = look_at_weights([gone], fetch=True)
    assert (lost.place, lost.state) == (None, f"missing: fetch {gone.published}")
    (found,) = look_at_weights([there], fetch=True)
    assert found.place == str(own_file(one))
    assert own_file(one).read_bytes() == b"weights"
    assert look_at_weights([gone], fetch=True) == (found,)


def test_names_are_distinct_and_known_to_timm() -> None:
    """Each row has one checkpoint of its own, which timm has or a factory makes; the uncertain ones say why."""
    assert len({checkpoint.name for checkpoint in CHECKPOINTS}) == len(checkpoints(["*"])) == 20
    for checkpoint in CHECKPOINTS:
        if checkpoint.factory:
            assert callable(load_factory(f"{FACTORIES}:{checkpoint.factory}"))
        else:
            assert timm_config(checkpoint.name)["hf_hub_id"] == f"timm/{checkpoint.name}"
        assert checkpoint.certain or checkpoint.note


@pytest.mark.parametrize("name", ["googlenet", "mnasnet1_0", "mobilenet_v2"])
def test_torchvisions_networks_are_its_own(tmp_path: Path, name: str) -> None:
    """Read from a file as torchvision publishes it, auxiliary heads and all, a network gives torchvision's own logits."""
    torch.manual_seed(0)
    images = torch.randn(1, 3, 64, 64)
    network = getattr(published, name)(weights=None, **({"init_weights": False} if name == "googlenet" else {})).eval()
    torch.save(network.state_dict(), tmp_path / "saved.pth")
    module: Any = build(ModelRef(name, factory=f"{FACTORIES}:{name}", checkpoint=tmp_path / "saved.pth"))
    with torch.inference_mode():
        assert torch.equal(module.forward_head(module.forward_features(images)), network(images))


@pytest.mark.parametrize("name", ["mocov3_vitb16", "simmim_vitb16"])
def test_self_supervised_encoders_are_found_among_the_rest(name: str) -> None:
    """Every key of the encoder has its place in the file as it is published, beside all that only pre-training needs."""
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
