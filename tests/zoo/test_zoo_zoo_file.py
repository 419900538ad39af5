"""Validation of the zoo file, through `resolve`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from itm.core.errors import ParamsError
from itm.core.sections import ZooParams
from itm.core.types import Failure, ModelRef, Preprocessing
from itm.zoo.resolve import resolve

WriteZoo = Callable[..., Path]
GOOD = {"name": "good.one", "architecture": "test_resnet", "checkpoint": "w.safetensors"}


def read(path: Path, *patterns: str) -> tuple[list[ModelRef], list[Failure]]:
    return resolve(ZooParams(file=path, models=patterns or ("*",), code=(path.parent,)))


def test_all_keys_of_an_entry_are_used(write_zoo: WriteZoo, factories: Path) -> None:
    path = write_zoo(
        {
            "name": "ours.v1",
            "factory": "factories.py:small",
            "arguments": {"width": 4, "sizes": [1, 2]},
            "checkpoint": "w.pth",
            "input_size": 32,
            "mean": [0, 0, 0],
            "std": [1, 1, 0.5],
            "crop": 0.9,
            "interpolation": "bilinear",
            "family": "ours",
            "pretraining": "leaves",
        }
    )
    (model,), failures = read(path)
    assert failures == []
    assert model == ModelRef(
        name="ours.v1",
        factory=f"{factories}:small",
        arguments={"width": 4, "sizes": [1, 2]},
        checkpoint=path.parent / "w.pth",
        preprocessing=Preprocessing(32, (0, 0, 0), (1, 1, 0.5), 0.9, "bilinear"),
        family="ours",
        pretraining="leaves",
    )


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ({"architecture": "test_vit", "checkpoint": "leaves.pth"}, "test_vit.leaves"),
        ({"architecture": "test_vit", "checkpoint": "test_vit.leaves.safetensors"}, "test_vit.leaves"),
        ({"factory": "factories.py:small", "checkpoint": "leaves.pth"}, "small.leaves"),
        ({"architecture": "test_vit", "pretrained": True}, "test_vit.r160_in1k"),
        ({"architecture": "test_vit.r160_in1k", "pretrained": True, "checkpoint": "model.safetensors"}, "test_vit.r160_in1k"),
    ],
)
@pytest.mark.usefixtures("factories")
def test_default_name_is_architecture_and_tag(write_zoo: WriteZoo, entry: dict[str, Any], name: str) -> None:
    (model,), failures = read(write_zoo(entry))
    assert (model.name, failures) == (name, [])
    assert not model.pretrained or model.architecture == "test_vit.r160_in1k"


def test_zoo_file_can_be_json(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").touch()
    path = tmp_path / "zoo.json"
    path.write_text(json.dumps({"models": [GOOD]}))
    assert [model.name for model in read(path)[0]] == ["good.one"]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({**GOOD, "name": "bad.one", "chekpoint": "x"}, "did you mean 'checkpoint'"),
        ({**GOOD, "name": "bad.one", "checkpoint": "missing.pth"}, "missing.pth is not a file"),
        ({"name": "bad.one", "checkpoint": "w.safetensors"}, "neither an `architecture` nor a `factory`"),
        ({**GOOD, "name": "bad.one", "factory": "factories.py:small"}, "both an `architecture` and a `factory`"),
        ({"name": "bad.one", "architecture": "test_resnet"}, "A model needs a weight file"),
        ({"name": "bad.one", "factory": "factories.py:small", "pretrained": True}, "has no timm weights"),
        ({"name": "bad.one", "factory": "small", "checkpoint": "w.pth"}, "must have the form 'file.py:function'"),
        ({"name": "bad.one", "factory": "gone.py:small", "checkpoint": "w.pth"}, "gone.py is not a file"),
        ({"name": "bad.one", "architecture": "test_vit.nope", "pretrained": True}, "no weights 'nope'"),
        ({"name": "bad.one", "architecture": "test_*", "pretrained": True}, "an entry must be one model"),
        ({**GOOD, "name": "bad.one", "arguments": {"pretrained": True}}, "arguments: pretrained is not for `arguments`"),
        ({**GOOD, "name": "bad.one", "input_size": 0}, "input_size"),
        ({**GOOD, "name": "bad.one", "std": [1, 0, 1]}, "std.1"),
        ({**GOOD, "name": "bad.one", "mean": [1, 2]}, "mean: must be one number, or three"),
        ({**GOOD, "name": "bad.one", "crop": 1.5}, "crop: is a share of the image"),
        ({**GOOD, "name": "bad.one", "interpolation": "cubic"}, "'bicubic'"),
    ],
)
@pytest.mark.usefixtures("factories")
def test_invalid_entry_does_not_affect_others(write_zoo: WriteZoo, entry: dict[str, Any], message: str) -> None:
    models, (failure,) = read(write_zoo(entry, GOOD))
    assert [model.name for model in models] == ["good.one"]
    assert (failure.model, failure.step) == ("bad.one", "zoo")
    assert message in failure.reason
    assert "models[0]" in failure.reason
    assert "\n" not in failure.reason


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mean": [123.675, 116.28, 103.53]}, "divide mean and std by 255, which gives the mean [0.485, 0.456, 0.406]"),
        ({"mean": [104, 117, 123], "std": [1, 1, 1]}, "divide mean and std by 255"),
        ({"mean": 127.5}, "which gives the mean [0.5]"),
        ({"mean": [-0.485, -0.456, -0.406]}, "mean: is negative"),
        ({"std": [58.395, 57.12, 57.375]}, "divide by 255, which gives [0.229, 0.224, 0.225]"),
        ({"std": [0.229 / 255, 0.224 / 255, 0.225 / 255]}, "is it divided by 255 twice?"),
        ({"std": [0.2, float("nan"), 0.2]}, "std.1: must be a finite number"),
        ({"crop": 87.5}, "crop: is a share of the image, at most 1; 87.5 % is 0.875"),
        ({"crop": "87.5%"}, "a share of the image without '%'"),
        ({"crop": 224}, "pixels are given as `input_size`"),
        ({"input_size": [3, 96, 48]}, "input_size: is height and width, such as [96, 48]"),
        ({"input_size": "96x48"}, "input_size: must be a number of pixels, or height and width"),
        ({"input_size": [96, 0]}, "input_size: must be a number of pixels, or height and width"),
        ({"arguments": {"in_chans": 4}}, "in_chans is 4; images have 3 channels (RGB) or 1 (grey)"),
        ({"arguments": {"in_chans": 1}, "std": [0.2, 0.2, 0.2]}, "std has 3 numbers, but the model takes 1 channel"),
    ],
)
def test_values_of_another_scale_are_refused_with_the_conversion(
    write_zoo: WriteZoo, values: dict[str, Any], message: str
) -> None:
    models, (failure,) = read(write_zoo({**GOOD, "name": "bad.one", **values}, GOOD))
    assert [model.name for model in models] == ["good.one"]
    assert message in failure.reason


def test_std_for_pixels_to_255_is_accepted_and_logged(write_zoo: WriteZoo, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "itm"):
        (model,), failures = read(write_zoo({**GOOD, "mean": 0, "std": 0.0039}))
    assert (model.preprocessing.mean, model.preprocessing.std, failures) == ((0,), (0.0039,), [])
    assert "std 0.0039 shows the model values up to 256" in caplog.text


@pytest.mark.parametrize(("written", "size"), [([96, 48], (96, 48)), ([96, 96], 96), ([96], 96), (96, 96)])
def test_input_size_is_a_side_or_height_and_width(write_zoo: WriteZoo, written: Any, size: Any) -> None:
    (model,), failures = read(write_zoo({**GOOD, "input_size": written}))
    assert (model.preprocessing.input_size, failures) == (size, [])


def test_folder_of_a_checkpoint_is_named_with_the_weight_file_in_it(write_zoo: WriteZoo, tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "model.safetensors").touch()
    _, (failure,) = read(write_zoo({**GOOD, "checkpoint": "hub/../hub"}))
    assert "hub is a folder; name the weight file in it, such as model.safetensors." in failure.reason


def test_invalid_entry_fails_only_if_its_name_matches(write_zoo: WriteZoo) -> None:
    path = write_zoo({"architecture": "test_vit", "checkpoint": "missing.pth"}, GOOD)
    assert read(path, "good.*")[1] == []
    models, (failure,) = read(path, "test_vit.missing")
    assert models == []
    assert "is not a file" in failure.reason


def test_entry_without_readable_name_always_fails(write_zoo: WriteZoo) -> None:
    models, failures = read(write_zoo(GOOD, "test_vit", {"arguments": {}}), "good.one")
    assert [model.name for model in models] == ["good.one"]
    assert [failure.model for failure in failures] == ["models[1]", "models[2]"]


def test_duplicate_names_are_invalid(write_zoo: WriteZoo) -> None:
    models, (failure,) = read(write_zoo(GOOD, {**GOOD, "name": "other"}, {**GOOD, "architecture": "test_vit"}))
    assert [model.name for model in models] == ["other"]
    assert failure.model == "good.one"
    assert "models[0] and models[2] are both named 'good.one'" in failure.reason


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"models: [", "is not valid YAML"),
        (b"\xff\xfe\x00\x80", "is not a text file"),
        (b"model: []", "did you mean 'models'"),
        (b"- name: x", "must be a list of models under `models`"),
        (b"models: 3", "must be a list of models under `models`"),
        (b"models: {a.one: {architecture: resnet18}}", "must be a list of models under `models`"),
        (b"resnet18", "must be a list of models under `models`"),
        (b"", "models"),
    ],
)
def test_invalid_zoo_file_is_an_error(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "zoo.yaml"
    path.write_bytes(content)
    with pytest.raises(ParamsError, match=message):
        read(path)


def test_missing_zoo_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"nowhere\.yaml: cannot be read"):
        read(tmp_path / "nowhere.yaml")


def test_path_that_is_no_zoo_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "zoo.yaml").write_text("models: []")
    (tmp_path / "w.safetensors").touch()
    for name, message in {
        "zo.yaml": "No such file or directory.; check the path; did you mean 'zoo.yaml'",
        "w.safetensors": "is a weight file, not a zoo file",
        ".": "is a folder, not a zoo file",
    }.items():
        with pytest.raises(ParamsError, match=message):
            read(tmp_path / name)
