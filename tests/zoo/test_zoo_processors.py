"""Preprocessing of models of transformers: where its file is, and what it says."""

import json
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest

from itm.core.errors import ModelError
from itm.zoo.downloads import UnreachableError
from itm.zoo.libraries import find_library
from itm.zoo.libraries.transformers_models import _hub_processor
from tests.zoo.hub_server import Hub

pytestmark = pytest.mark.slow

CONFIG = {"model_type": "dinov2", "image_size": 32, "patch_size": 8, "hidden_size": 16, "num_attention_heads": 2}
MEAN = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.25, 0.25, 0.25]}
PROCESSOR = {"size": {"height": 32, "width": 32}, "image_processor_type": "ViTImageProcessor", **MEAN}
NAME = "transformers:someone/tower"


@pytest.fixture(autouse=True)
def _new_process() -> None:
    _hub_processor.cache_clear()


def settings(name: str = NAME) -> dict[str, Any]:
    library = find_library(name)
    assert library
    return library.settings(name).preprocessing


def test_file_that_the_repository_lacks_is_asked_for_once(hub: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    hub.files = {"config.json": json.dumps(CONFIG).encode()}
    assert settings()["crop_mode"] == "squash"
    hub.requests.clear()
    assert settings()["mean"] == [0.485, 0.456, 0.406]
    assert hub.requests == []
    _hub_processor.cache_clear()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)  # the cache of the Hub has the answer
    assert settings()["mean"] == [0.485, 0.456, 0.406]


def test_cached_weights_are_found(hub: type[Hub]) -> None:
    hub.files = {"config.json": json.dumps(CONFIG).encode(), "model.safetensors": b"weights"}
    library = find_library(NAME)
    assert library
    assert library.cached_weights(NAME) is None
    assert library.weight_file(NAME) == library.cached_weights(NAME)


def test_failed_download_does_not_change_the_preprocessing(hub: type[Hub]) -> None:
    hub.files = {"config.json": json.dumps(CONFIG).encode(), "preprocessor_config.json": json.dumps(PROCESSOR).encode()}
    library = find_library(NAME)
    assert library
    assert library.names(NAME) == [NAME]  # downloads config.json
    hub.status, hub.error = 503, "Unavailable"
    with pytest.raises(UnreachableError, match=r"someone/tower: no preprocessor_config.json of someone/tower"):
        settings()
    hub.status = 200
    assert settings()["mean"] == [0.5, 0.4, 0.3]


def test_file_that_is_not_here_without_network_is_named(hub: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    hub.files = {"config.json": json.dumps(CONFIG).encode()}
    library = find_library(NAME)
    assert library
    library.names(NAME)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"no preprocessor_config.json of .* name the model transformers:FOLDER"):
        settings()


def of_files(folder: Path, **files: dict[str, Any]) -> dict[str, Any]:
    for name, values in files.items():
        (folder / f"{name}.json").write_text(json.dumps(values))
    found = settings(f"transformers:{folder}")
    return {key: found[key] for key in ("input_size", "crop_pct", "crop_mode")}


@pytest.mark.parametrize(
    ("processor", "side", "crop", "mode"),
    [
        ({"size": 48, "feature_extractor_type": "ViTFeatureExtractor"}, 48, 1.0, "squash"),
        ({"size": 48, "image_processor_type": "ViTImageProcessorFast"}, 48, 1.0, "squash"),
        ({"size": 48, "image_processor_type": "BeitImageProcessor"}, 48, 1.0, "squash"),
        ({"size": 48, "image_processor_type": "SiglipImageProcessor"}, 48, 1.0, "center"),
        ({"size": 48, "feature_extractor_type": "ConvNextFeatureExtractor", "crop_pct": 0.875}, 48, 0.875, "center"),
        (
            {"size": 64, "crop_size": 48, "do_center_crop": True, "image_processor_type": "DeiTImageProcessor"},
            48,
            0.75,
            "squash",
        ),
        (
            {"size": 64, "crop_size": 48, "do_center_crop": True, "image_processor_type": "CLIPImageProcessor"},
            48,
            0.75,
            "center",
        ),
        ({"size": {"shortest_edge": 64}, "crop_size": 48, "do_center_crop": True}, 48, 0.75, "center"),
        ({"size": {"height": 48, "width": 48}}, 48, 1.0, "squash"),
        ({"size": [48, 48]}, 48, 1.0, "squash"),
    ],
)
def test_size_means_what_the_class_of_the_file_says(
    tmp_path: Path, processor: dict[str, Any], side: int, crop: float, mode: str
) -> None:
    found = of_files(tmp_path, config=CONFIG, preprocessor_config=processor | MEAN)
    assert found == {"input_size": [3, side, side], "crop_pct": crop, "crop_mode": mode}


@pytest.mark.parametrize(("kind", "mode"), [("vit", "squash"), ("clip_vision_model", "center")])
def test_type_of_the_model_decides_for_a_file_without_class(tmp_path: Path, kind: str, mode: str) -> None:
    processor = {"size": 48, "crop_size": 48, "do_center_crop": kind != "vit", **MEAN}
    assert of_files(tmp_path, config=CONFIG | {"model_type": kind}, preprocessor_config=processor)["crop_mode"] == mode


def test_section_of_a_processor_is_read_if_the_file_of_the_image_processor_is_missing(tmp_path: Path) -> None:
    nested = {"image_processor": PROCESSOR | {"size": {"height": 64, "width": 64}}, "processor_class": "CLIPProcessor"}
    assert of_files(tmp_path, config=CONFIG, processor_config=nested)["input_size"] == [3, 64, 64]
    assert of_files(tmp_path, processor_config={"processor_class": "CLIPProcessor"})["input_size"] == [3, 32, 32]
    assert of_files(tmp_path, preprocessor_config=PROCESSOR)["input_size"] == [3, 32, 32]
