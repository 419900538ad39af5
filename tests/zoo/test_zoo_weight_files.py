"""Weights are found in files of all formats, wrappers and prefixes, and a file of another kind is named."""

import gzip
import io
import logging
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.optim.swa_utils import AveragedModel

from itm.core.errors import ModelError
from itm.core.types import ModelRef
from itm.zoo.load import build, definition
from itm.zoo.weight_file import read_weight_file

pytestmark = pytest.mark.slow

Saved = Callable[..., tuple[ModelRef, torch.nn.Module]]
Embeddings = Callable[..., torch.Tensor]
State = dict[str, torch.Tensor]


VERSIONED = """
from torch import nn


class Versioned(nn.Linear):
    def _load_from_state_dict(self, state, prefix, metadata, *rest):
        if metadata.get("version") != 7:
            raise ValueError("version should be 7")
        super()._load_from_state_dict(state, prefix, metadata, *rest)


def versioned():
    model = nn.Sequential()
    model.layer = Versioned(2, 2)
    model.forward_features = lambda x: x
    model.forward_head = lambda x, pre_logits=False: x.mean((2, 3))
    return model
"""


def written(model: ModelRef, content: Any, name: str = "weights.pth") -> ModelRef:
    assert model.checkpoint is not None
    path = model.checkpoint.with_name(name)
    torch.save(content, path)
    return replace(model, checkpoint=path)


def prefixed(state: State, prefix: str) -> State:
    return {f"{prefix}{key}": value for key, value in state.items()}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"epoch": 3, "pytorch-lightning_version": "2.4.0", "state_dict": prefixed(state, "model.")},
        lambda state: {"meta": {}, "state_dict": prefixed(state, "backbone.")},
        lambda state: {"state_dict": prefixed(state, "encoder.") | {"loss.weight": torch.ones(3)}},
        lambda state: {
            "student": prefixed(state, "module.backbone."),
            "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}},
        },
        lambda state: prefixed(state, "module.model._orig_mod.") | {"n_averaged": torch.tensor(5)},
        lambda state: {key.replace("layer1.", "layer1._orig_mod."): value for key, value in state.items()},
        lambda state: {key.replace("layer1.", "layer1._fsdp_wrapped_module."): value for key, value in state.items()},
        lambda state: {"arch": "resnet", "module": state},
        lambda state: {"epoch": 3, "model_state_dict": state, "optimizer_state_dict": {}, "loss": 0.1},
        lambda state: {"net": {"weights": state}},
        lambda state: {**state, "epoch": 3, "best": np.float64(0.9), "folder": PurePosixPath("runs")},
        lambda state: {**state, "epoch": torch.tensor(3)},
        lambda state: {"params": {key: value.numpy() for key, value in state.items()}},
    ],
    ids=[
        *("Lightning", "backbone", "loss beside it", "student", "nested prefixes", "compiled layer", "FSDP layer"),
        *("module key", "tutorial", "two keys", "plain values beside it", "counter tensor", "NumPy arrays"),
    ],
)
def test_weights_are_found_in_envelopes(saved: Saved, embeddings: Embeddings, wrap: Callable[[State], Any]) -> None:
    model, module = saved("test_resnet", num_classes=3)
    assert torch.equal(embeddings(build(written(model, wrap(module.state_dict())))), embeddings(module))


@pytest.mark.parametrize("prefix", ["", "module.", "module.backbone."])
def test_versions_of_modules_are_kept(tmp_path: Path, prefix: str) -> None:
    (tmp_path / "versioned.py").write_text(VERSIONED)
    state = OrderedDict(prefixed({"weight": torch.ones(2, 2), "bias": torch.ones(2)}, f"{prefix}layer."))
    state._metadata = {f"{prefix}layer": {"version": 7}}  # type: ignore[attr-defined]
    torch.save({"state_dict": state}, tmp_path / "versioned.pth")
    model = ModelRef("own", factory=f"{tmp_path / 'versioned.py'}:versioned", checkpoint=tmp_path / "versioned.pth")
    assert torch.equal(build(model).state_dict()["layer.weight"], torch.ones(2, 2))
    save_file(state, tmp_path / "versioned.safetensors")
    with pytest.raises(ModelError, match=r"the model refuses these weights \(ValueError: version should be 7"):
        build(replace(model, checkpoint=tmp_path / "versioned.safetensors"))


def test_averaged_model_loads(saved: Saved, embeddings: Embeddings) -> None:
    model, module = saved("test_resnet")
    assert torch.equal(embeddings(build(written(model, AveragedModel(module).state_dict()))), embeddings(module))


@pytest.mark.parametrize(
    ("keys", "pretrained", "taken"),
    [
        (("state_dict", "state_dict_ema"), False, "state_dict"),
        (("state_dict", "state_dict_ema"), True, "state_dict_ema"),
        (("model", "model_ema"), False, "model"),
        (("model_ema", "model"), False, "model"),
        (("student", "teacher"), False, "teacher"),
        (("ema", "model_state_dict"), True, "ema"),
    ],
)
def test_choice_between_weights_is_logged_and_made_by_the_zoo_file(
    saved: Saved, caplog: pytest.LogCaptureFixture, keys: tuple[str, str], pretrained: bool, taken: str
) -> None:
    model, module = saved("test_resnet")
    states = {key: module.state_dict() | {"fc.bias": torch.full((1000,), float(number))} for number, key in enumerate(keys)}
    both = replace(written(model, states), pretrained=pretrained)
    with caplog.at_level(logging.WARNING, "itm"):
        built: Any = build(both)
    assert built.fc.bias[0] == keys.index(taken)
    (record,) = [found for found in caplog.records if found.name.startswith("itm.")]  # timm logs each loading as well
    other = next(key for key in keys if key != taken)
    assert f"{taken!r} is taken, not {other!r}; `weights_key` in the zoo file chooses another" in record.getMessage()
    caplog.clear()
    chosen: Any = build(replace(both, weights_key=other))
    assert chosen.fc.bias[0] == keys.index(other)
    assert not [found for found in caplog.records if found.name.startswith("itm.")]
    assert definition(both) != definition(replace(both, weights_key=other))


def test_choice_between_two_prefixes_is_logged(saved: Saved, caplog: pytest.LogCaptureFixture) -> None:
    model, module = saved("test_resnet")
    state = module.state_dict()
    networks = prefixed(state, "student.backbone.") | prefixed({k: v + 1 for k, v in state.items()}, "teacher.backbone.")
    both = written(model, {"state_dict": networks})
    built: Any = build(both)
    assert torch.equal(built.fc.bias, state["fc.bias"] + 1)
    assert "'state_dict.teacher.backbone' is taken, not 'state_dict.student.backbone'" in caplog.text
    student: Any = build(replace(both, weights_key="state_dict.student"))
    assert torch.equal(student.fc.bias, state["fc.bias"])


def test_wrong_weights_key_is_an_error(saved: Saved) -> None:
    model, module = saved("test_resnet")
    both = written(model, {"model": module.state_dict(), "model_ema": module.state_dict()})
    with pytest.raises(ModelError, match="no weights under weights_key 'ema'; it has: 'model', 'model_ema'"):
        build(replace(both, weights_key="ema"))


def test_formats_are_recognised_by_content(saved: Saved, embeddings: Embeddings, tmp_path: Path) -> None:
    model, module = saved("test_resnet")
    state = module.state_dict()
    save_file(state, tmp_path / "safetensors.pth")
    save_file(state, tmp_path / "safetensors")
    torch.save(state, tmp_path / "torch.safetensors")
    torch.save(state, tmp_path / "torch.npz")
    torch.save(state, tmp_path / "legacy.bin", _use_new_zipfile_serialization=False)
    np.savez(tmp_path / "numpy.npz", **{key: value.numpy() for key, value in state.items()})
    np.savez_compressed(tmp_path / "numpy.pth.npz", **{key: value.numpy() for key, value in state.items()})
    (tmp_path / "numpy.pth.npz").rename(tmp_path / "numpy.pth")
    for name in ("safetensors.pth", "safetensors", "torch.safetensors", "torch.npz", "legacy.bin", "numpy.npz", "numpy.pth"):
        built = build(replace(model, checkpoint=tmp_path / name))
        assert torch.equal(embeddings(built), embeddings(module)), name


def script(path: Path) -> None:
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)


def archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as stream:
        stream.writestr("run/weights.pth", b"content")


def array(path: Path) -> None:
    with path.open("wb") as stream:
        np.save(stream, np.zeros(3))


def tar(path: Path) -> None:
    with tarfile.open(path, "w") as stream:
        stream.addfile(tarfile.TarInfo("weights.pth"), io.BytesIO())


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (archive, r"ZIP archive of other files \(run/weights.pth\); unpack it"),
        (tar, "tar archive; unpack it"),
        (lambda path: path.write_bytes(gzip.compress(b"weights")), "gzip archive; unpack it"),
        (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + b"0" * 99), "HDF5 file, as Keras writes it"),
        (lambda path: path.write_bytes(b"\x08\x07\x12\x07pytorch\x1a\x03" + b"0" * 99), "ONNX"),
        (lambda path: path.write_bytes(b"\x1c\x00\x00\x00TFL3" + b"0" * 99), "TensorFlow Lite"),
        (lambda path: path.write_bytes(b"GGUF" + b"0" * 99), "GGUF"),
        (lambda path: path.write_bytes(b"\x89PNG\r\n" + b"0" * 99), "PNG image"),
        (lambda path: path.write_text('{"metadata": {}, "weight_map": {}}'), "index of weights in several files"),
        (array, "one NumPy array without a name"),
    ],
    ids=["zip", "tar", "gzip", "hdf5", "onnx", "tflite", "gguf", "png", "index", "npy"],
)
def test_file_of_another_kind_is_named(tmp_path: Path, write: Callable[[Path], Any], message: str) -> None:
    path = tmp_path / "weights.pth"
    write(path)
    with pytest.raises(ModelError, match=message) as caught:
        read_weight_file(path)
    assert str(caught.value).startswith(f"{path}: is ")
    assert "damaged" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torchscript_is_named_with_its_conversion(tmp_path: Path) -> None:
    script(tmp_path / "weights.pth")
    with pytest.raises(ModelError, match=r"is a TorchScript archive.*torch\.save\(torch\.jit\.load\(OLD"):
        read_weight_file(tmp_path / "weights.pth")


def test_prefixes_of_a_file_that_does_not_fit_are_named(saved: Saved) -> None:
    model, _ = saved("test_resnet")
    assert model.checkpoint is not None
    items = enumerate(load_file(model.checkpoint).items())
    mixed = {f"{'ab'[number % 2]}.{key}": value for number, (key, value) in items}
    with pytest.raises(ModelError, match=r"Names in the file begin with a\., b\."):
        build(written(model, mixed))
