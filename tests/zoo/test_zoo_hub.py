"""timm weights from the cache or a local server. No test uses the network."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from itm.core.errors import ModelError
from itm.core.keys import file_hash
from itm.core.sections import ZooParams
from itm.core.types import ModelRef
from itm.zoo.hub import _causes
from itm.zoo.load import build, weights_hash
from itm.zoo.resolve import resolve
from tests.zoo.hub_server import REVISION, Hub

Saved = Callable[..., tuple[ModelRef, torch.nn.Module]]
Embeddings = Callable[..., torch.Tensor]
NAME = "test_resnet.r160_in1k"
OFFLINE = f"""
import json, time
from itm.core.errors import ModelError
from itm.core.types import ModelRef
from itm.zoo.load import build, weights_hash

def timm_model(name):
    return ModelRef(name, architecture=name, pretrained=True)

start = time.perf_counter()
try:
    build(timm_model("resnet18.a1_in1k"))
    missing = ""
except ModelError as error:
    missing = str(error)
print(json.dumps({{
    "missing": missing,
    "seconds": time.perf_counter() - start,
    "hash": weights_hash(timm_model({NAME!r})),
    "bias": build(timm_model({NAME!r})).fc.bias.tolist(),
}}))
"""


def timm_model(name: str) -> ModelRef:
    return ModelRef(name, architecture=name, pretrained=True)


def put_in_cache(cache: Path, name: str, file: Path, called: str = "model.safetensors") -> Path:
    """Write a weight file where huggingface_hub stores downloads."""
    folder = cache / f"models--timm--{name}"
    path = folder / "snapshots" / REVISION / called
    path.parent.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(REVISION)
    path.write_bytes(file.read_bytes())
    return path


def test_offline_mode_from_environment(tmp_path: Path, saved: Saved) -> None:
    model, module = saved()
    assert model.checkpoint is not None
    path = put_in_cache(tmp_path / "hub", NAME, model.checkpoint)
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    for other in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        environment.pop(other, None)
    done = subprocess.run([sys.executable, "-c", OFFLINE], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    for part in ("model.safetensors", "timm/resnet18.a1_in1k", "HF_HUB_OFFLINE", "hf download", "HF_HOME", "zoo file"):
        assert part in result["missing"]
    assert result["seconds"] < 2
    assert result["hash"] == file_hash(path)
    assert result["bias"] == module.state_dict()["fc.bias"].tolist()


def test_timm_model_is_loaded_from_cache(cache: Path, saved: Saved, embeddings: Embeddings) -> None:
    model, module = saved()
    assert model.checkpoint is not None
    put_in_cache(cache, NAME, model.checkpoint)
    (found,), failures = resolve(ZooParams(models=("test_resnet",)))
    assert failures == []
    built = build(found)
    assert not built.training
    assert torch.equal(embeddings(built), embeddings(module))


def test_pytorch_model_bin_is_used_without_safetensors(
    cache: Path, saved: Saved, embeddings: Embeddings, tmp_path: Path
) -> None:
    _, module = saved()
    torch.save(module.state_dict(), tmp_path / "w.bin")
    path = put_in_cache(cache, NAME, tmp_path / "w.bin", "pytorch_model.bin")
    assert weights_hash(timm_model(NAME)) == file_hash(path)
    assert torch.equal(embeddings(build(timm_model(NAME))), embeddings(module))


def test_timm_converts_checkpoints(cache: Path, saved: Saved) -> None:
    model, _ = saved("test_vit")
    assert model.checkpoint is not None
    put_in_cache(cache, "test_vit.r160_in1k", model.checkpoint)
    own = ModelRef("small", architecture="test_vit.r160_in1k", pretrained=True, arguments={"img_size": 64})
    built: Any = build(own)
    assert built.patch_embed.img_size == (64, 64)


def test_local_checkpoint_replaces_hub(saved: Saved, embeddings: Embeddings, cache: Path) -> None:
    model, module = saved()
    assert model.checkpoint is not None
    local = ModelRef(NAME, architecture=NAME, pretrained=True, checkpoint=model.checkpoint)
    assert weights_hash(local) == file_hash(model.checkpoint)
    assert torch.equal(embeddings(build(local)), embeddings(module))
    assert not cache.exists()


def test_random_head_on_pretrained_weights_is_rejected(cache: Path, saved: Saved) -> None:
    model, _ = saved()
    assert model.checkpoint is not None
    put_in_cache(cache, NAME, model.checkpoint)
    with pytest.raises(ModelError, match="head with random weights"):
        build(ModelRef(NAME, architecture=NAME, pretrained=True, arguments={"num_classes": 7}))
    headless: Any = build(ModelRef(NAME, architecture=NAME, pretrained=True, arguments={"num_classes": 0}))
    assert headless.num_classes == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"<html>", "is a web page"), (b"", "is empty"), (b"garbage!" * 20, "is damaged or not a weight file")],
)
def test_damaged_cached_file_is_an_error(cache: Path, tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "w").write_bytes(content)
    path = put_in_cache(cache, NAME, tmp_path / "w")
    with pytest.raises(ModelError, match=message) as caught:
        build(timm_model(NAME))
    assert str(path) in str(caught.value)


def test_cached_weights_of_another_model_are_an_error(cache: Path, saved: Saved) -> None:
    model, _ = saved("test_vit")
    assert model.checkpoint is not None
    put_in_cache(cache, NAME, model.checkpoint)
    with pytest.raises(ModelError, match=rf"{NAME}.*the weights do not fit the model"):
        build(timm_model(NAME))


def test_missing_weights_are_downloaded_once(hub: type[Hub], saved: Saved, embeddings: Embeddings) -> None:
    model, module = saved()
    assert model.checkpoint is not None
    hub.files = {"model.safetensors": model.checkpoint.read_bytes()}
    assert weights_hash(timm_model(NAME)) == file_hash(model.checkpoint)
    hub.status = 404
    assert torch.equal(embeddings(build(timm_model(NAME))), embeddings(module))


def test_pytorch_model_bin_is_downloaded_without_safetensors(hub: type[Hub], saved: Saved, tmp_path: Path) -> None:
    _, module = saved()
    torch.save(module.state_dict(), tmp_path / "w.bin")
    hub.files = {"pytorch_model.bin": (tmp_path / "w.bin").read_bytes()}
    assert weights_hash(timm_model(NAME)) == file_hash(tmp_path / "w.bin")


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, "EntryNotFound"), (404, "RepoNotFound"), (404, "RevisionNotFound"), (401, "RepoNotFound"), (403, "")],
)
def test_hub_errors_are_model_errors(hub: type[Hub], status: int, error: str) -> None:
    hub.status, hub.error = status, error
    with pytest.raises(ModelError, match=rf"cannot be downloaded \(.*{status}.*hf download timm/{NAME}"):
        build(timm_model(NAME))


def test_weights_with_url_use_torch_cache(cache: Path, tmp_path: Path) -> None:
    del cache
    name = "gcvit_xxtiny.in1k"
    with pytest.raises(ModelError, match=r"gcvit_xxtiny\S+\.pth is missing and https://.*TORCH_HOME"):
        weights_hash(timm_model(name))
    (folder := tmp_path / "torch" / "hub" / "checkpoints").mkdir(parents=True)
    (path := folder / "gcvit_xxtiny_224_nvidia-d1d86009.pth").write_bytes(b"weights")
    assert weights_hash(timm_model(name)) == file_hash(path)


def test_models_with_the_same_cause_are_counted() -> None:
    errors: dict[str, Exception] = {f"model{number}": ModelError("The server is down.") for number in range(6)}
    assert _causes(errors) == "model0, model1, model2 and 3 more (The server is down.)"
