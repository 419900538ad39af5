"""Models of timm in a folder or in a repository of the Hugging Face Hub that is not timm's own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch
import yaml

from itm.core.errors import ModelError
from itm.core.sections import ZooParams
from itm.core.types import ModelRef
from itm.zoo.facts import preprocessing_without_weights
from itm.zoo.hub import prefetch
from itm.zoo.load import build, weights_hash
from itm.zoo.recipe import recipe
from itm.zoo.sources import has_source
from itm.zoo.timm_gate import timm
from tests.zoo.named import the_model, why

pytestmark = pytest.mark.slow

Embeddings = Callable[..., torch.Tensor]
OWN = {"input_size": (3, 64, 64), "mean": (0.5, 0.5, 0.5), "crop_pct": 1.0, "crop_mode": "squash", "num_classes": 5}
REVISION = "1" * 40


@pytest.fixture
def trained(tmp_path: Path) -> tuple[Path, Any]:
    """Save a model as timm's own scripts do, and return the folder and the model."""
    torch.manual_seed(0)
    model = timm.create_model("test_vit", num_classes=5, img_size=64, pretrained_cfg_overlay=OWN).eval()
    folder = tmp_path / "ours"
    timm.models.save_for_hf(model, folder, model_args={"img_size": 64}, safe_serialization=True)
    return folder, model


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the empty cache of the Hub, which is offline."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def put_into_cache(cache: Path, repository: str, folder: Path, *names: str) -> None:
    place = cache / f"models--{repository.replace('/', '--')}"
    snapshot = place / "snapshots" / REVISION
    snapshot.mkdir(parents=True, exist_ok=True)
    (place / "refs").mkdir(exist_ok=True)
    (place / "refs" / "main").write_text(REVISION)
    for name in names:
        (snapshot / name).write_bytes((folder / name).read_bytes())


def check(model: ModelRef, expected: Any, embeddings: Embeddings) -> None:
    assert torch.equal(embeddings(build(model)), embeddings(expected))
    config = preprocessing_without_weights(model)
    assert (config["input_size"], config["mean"], config["crop_mode"]) == ([3, 64, 64], [0.5, 0.5, 0.5], "squash")
    assert build(model).num_classes == 5


def test_folder_that_timm_wrote_is_a_model(trained: tuple[Path, Any], embeddings: Embeddings) -> None:
    folder, expected = trained
    model = the_model(f"local-dir:{folder}/")
    assert model.name == f"local-dir:{folder}"
    check(model, expected, embeddings)
    assert "num_classes=5" in recipe(model)


def test_folder_is_relative_to_its_zoo_file(
    trained: tuple[Path, Any], tmp_path: Path, embeddings: Embeddings, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo = tmp_path / "zoo.yaml"
    entry = {"architecture": "local-dir:ours", "pretrained": True}
    zoo.write_text(yaml.safe_dump({"models": [entry | {"name": "ours"}, entry | {"name": "grey", "std": 0.5}]}))
    monkeypatch.chdir("/")
    check(the_model("ours", file=zoo), trained[1], embeddings)
    assert preprocessing_without_weights(the_model("grey", file=zoo))["std"] == [0.5] * 3


def test_folder_named_like_a_model_is_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resnet18").mkdir()
    zoo = tmp_path / "zoo.yaml"
    zoo.write_text(yaml.safe_dump({"models": [{"architecture": "torchvision:resnet18", "pretrained": True, "name": "ours"}]}))
    assert the_model("ours", file=zoo).architecture == "torchvision:resnet18.IMAGENET1K_V1"
    assert the_model("torchvision:resnet18").name == "torchvision:resnet18.IMAGENET1K_V1"


def test_folder_named_like_a_repository_is_no_repository(
    trained: tuple[Path, Any], cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_into_cache(cache, "someone/ours", trained[0], "config.json", "model.safetensors")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "someone" / "ours").mkdir(parents=True)
    zoo = tmp_path / "zoo.yaml"
    zoo.write_text(yaml.safe_dump({"models": [{"architecture": "hf-hub:someone/ours", "pretrained": True, "name": "ours"}]}))
    assert the_model("ours", file=zoo).repository == "someone/ours"


def test_revision_of_a_repository_is_part_of_its_name(trained: tuple[Path, Any], cache: Path) -> None:
    put_into_cache(cache, "someone/ours", trained[0], "config.json", "model.safetensors")
    (cache / "models--someone--ours" / "refs" / "v1").write_text(REVISION)
    assert the_model("hf-hub:someone/ours@v1").repository == "someone/ours@v1"
    variant = the_model("hf-hub:someone/ours@v1@96@mean")
    assert (variant.name, variant.repository, variant.pooling) == ("hf-hub:someone/ours@v1@96@mean", "someone/ours@v1", "mean")
    assert "no config.json of someone/ours" in why("hf-hub:someone/ours@v2")


def test_folder_can_have_the_separator_of_variants(trained: tuple[Path, Any]) -> None:
    folder = trained[0].rename(trained[0].parent / "ours@v1")
    assert the_model(f"local-dir:{folder}").name == f"local-dir:{folder}"
    assert the_model(f"local-dir:{folder}@mean").pooling == "mean"


def test_variants_of_a_folder_are_those_of_its_architecture(trained: tuple[Path, Any], embeddings: Embeddings) -> None:
    folder, _ = trained
    assert embeddings(build(the_model(f"local-dir:{folder}@mean"))).shape == (2, 64)
    assert embeddings(build(the_model(f"local-dir:{folder}@96")), 96).shape == (2, 64)


def test_repository_of_the_hub_is_read_from_its_cache(trained: tuple[Path, Any], cache: Path, embeddings: Embeddings) -> None:
    folder, expected = trained
    put_into_cache(cache, "someone/ours", folder, "config.json", "model.safetensors")
    for name in ("hf-hub:someone/ours", "hf_hub:someone/ours", "https://huggingface.co/someone/ours"):
        model = the_model(name)
        assert model.name == "hf-hub:someone/ours"
    check(model, expected, embeddings)
    assert prefetch([model], ZooParams()) == ((model,), ())
    assert weights_hash(model) == weights_hash(the_model(f"local-dir:{folder}"))


def test_repository_without_cached_weights_fails_alone(trained: tuple[Path, Any], cache: Path) -> None:
    folder, _ = trained
    put_into_cache(cache, "someone/ours", folder, "config.json")
    model, here = the_model("hf-hub:someone/ours"), the_model(f"local-dir:{folder}")
    available, (failure,) = prefetch([model, here], ZooParams())
    assert available == (here,)
    assert "hf-hub:someone/ours: no model.safetensors or pytorch_model.bin of someone/ours" in failure.reason
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE is set"):
        build(model)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "has no config.json"),
        ({"config.json": "{}"}, "has no model.safetensors"),
        ({"config.json": "{", "model.safetensors": ""}, "is no configuration of timm"),
        ({"config.json": json.dumps({"model_type": "vit"}), "model.safetensors": ""}, "a model of transformers is named"),
    ],
)
def test_other_folders_are_refused(tmp_path: Path, files: dict[str, str], message: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert message in why(f"local-dir:{tmp_path}")


def test_missing_folder_is_named(tmp_path: Path) -> None:
    assert why(f"local-dir:{tmp_path / 'nowhere'}") == f"{tmp_path / 'nowhere'} is not a folder; check the path."


@pytest.mark.parametrize(
    "name", ["timm:resnet18", "hf-hub:timm/resnet18", "timm/resnet18", "resnet18", "https://huggingface.co/timm/a"]
)
def test_names_of_timm_have_no_other_source(name: str) -> None:
    assert not has_source(name)
