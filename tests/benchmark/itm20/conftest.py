"""Small replacements for published weights and data sets. No test uses the network."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import huggingface_hub.constants
import polars as pl
import pytest
import torch
from click.testing import Result
from safetensors.torch import save_file
from typer.testing import CliRunner

from itm.cli.commands import app
from itm.data.sources.drawing import SyntheticSet, draw
from itm.zoo.timm_gate import import_torchvision, timm

Run = Callable[..., Result]
REVISION = "0" * 40
published = import_torchvision().models


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to an empty folder, with empty weight caches and no network."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(here: Path) -> Run:
    """Return a function that runs the command in that folder and checks its exit status."""

    def call(*words: str, status: int = 0) -> Result:
        result = CliRunner().invoke(app, ["benchmark", *words], catch_exceptions=False)
        assert result.exit_code == status, result.output
        return result

    assert here.is_dir()
    return call


@pytest.fixture
def weights(here: Path) -> None:
    """Write random weights of three checkpoints to the caches."""
    torch.manual_seed(0)
    kept = here / "torch" / "hub" / "checkpoints"
    kept.mkdir(parents=True)
    torch.save(published.mobilenet_v2(weights=None).state_dict(), kept / "mobilenet_v2-b0353104.pth")
    torch.save(published.mnasnet1_0(weights=None).state_dict(), kept / "mnasnet1.0_top1_73.512-f206786ef8.pth")
    folder = here / "hub" / "models--timm--resnet18.tv_in1k"
    (folder / "snapshots" / REVISION).mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(REVISION)
    save_file(timm.create_model("resnet18").state_dict(), folder / "snapshots" / REVISION / "model.safetensors")


@pytest.fixture
def data(here: Path) -> Path:
    """Generate two small data sets with the classes of CIFAR-10 (a folder) and PASCAL VOC 2007 (an index)."""
    root = here / "sets"
    index = []
    for family in ("shapes", "textures"):
        for name, number, image in islice(draw(SyntheticSet(family, images=30)), 30):
            (folder := root / "voc" / name).mkdir(parents=True, exist_ok=True)
            image.save(folder / f"{number}.png")
            index.append({"path": f"voc/{name}/{number}.png", "label": name})
            if family == "shapes":
                (folder := root / "cifar10" / name).mkdir(parents=True, exist_ok=True)
                image.save(folder / f"{number}.png")
    pl.DataFrame(index).write_csv(root / "voc2007.csv")
    return root
