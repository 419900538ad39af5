"""Small real models: weights of timm's test architectures, saved to files."""

import threading
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
import yaml
from safetensors.torch import save_file

from itm.core.types import ModelRef
from itm.zoo.timm_gate import timm
from tests.zoo.hub_server import Hub

FACTORIES = """
import timm
import torch
from torch import nn


class Small(nn.Module):
    def __init__(self, width=8, classes=3):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3)
        self.head = nn.Linear(width, classes)

    def forward_features(self, x):
        return self.stem(x)

    def forward_head(self, x, pre_logits=False):
        x = x.mean((2, 3))
        return x if pre_logits else self.head(x)

    def forward(self, x):
        return self.forward_head(self.forward_features(x))


def small(width=8, classes=3):
    return Small(width, classes)


def through_timm(**arguments):
    return timm.create_model("test_resnet", **arguments)


def reads_numbers():
    model = Small()
    if model.stem.weight.sum().item() > 1e9:
        raise ValueError("never")
    return model


def no_module():
    return {"width": 8}


def no_embeddings():
    return nn.Linear(3, 3)


def no_pre_logits():
    model = Small()
    model.forward_head = lambda x: x
    return model


def three_dimensions():
    model = Small()
    model.forward_head = lambda x, pre_logits: x
    return model
"""


@pytest.fixture
def factories(tmp_path: Path) -> Path:
    """Return a file of custom factories."""
    path = tmp_path / "factories.py"
    path.write_text(FACTORIES)
    return path


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., tuple[ModelRef, torch.nn.Module]]:
    """Return a function that saves random weights of a timm architecture and returns the model and its module."""

    def save(architecture: str = "test_resnet", **arguments: Any) -> tuple[ModelRef, torch.nn.Module]:
        torch.manual_seed(len(architecture))
        module = timm.create_model(architecture, **arguments).eval()
        path = tmp_path / f"{architecture}.mine.safetensors"
        save_file(module.state_dict(), path)
        return ModelRef(f"{architecture}.mine", architecture=architecture, arguments=arguments, checkpoint=path), module

    return save


@pytest.fixture
def write_zoo(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes entries to a zoo file and creates missing weight files, which are empty."""

    def write(*entries: Any) -> Path:
        for entry in entries:
            if isinstance(entry, dict) and isinstance(entry.get("checkpoint"), str) and "missing" not in entry["checkpoint"]:
                (tmp_path / entry["checkpoint"]).touch()
        path = tmp_path / "zoo.yaml"
        path.write_text(yaml.safe_dump({"models": list(entries)}))
        return path

    return write


def embed(module: Any, size: int = 64) -> torch.Tensor:
    """Return the embeddings of two fixed random images."""
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        embeddings: torch.Tensor = module.forward_head(module.forward_features(images), pre_logits=True)
    return embeddings


@pytest.fixture
def embeddings() -> Callable[..., torch.Tensor]:
    """Return the function `embed`."""
    return embed


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no network, and empty folders of downloads."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use an empty cache and no network."""
    path = tmp_path / "hub"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return path


@pytest.fixture
def hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    """Replace the Hugging Face hub by a local server."""
    del cache  # the fixture is needed only for its effect
    handler = type("OneHub", (Hub,), {"files": {}, "status": 200, "error": "", "requests": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    constants, address = huggingface_hub.constants, f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    yield handler
    server.shutdown()
    thread.join()
    server.server_close()
