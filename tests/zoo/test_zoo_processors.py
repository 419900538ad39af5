"""Preprocessing of models of transformers: where its file is, and what it says."""

import json
from typing import Any

import huggingface_hub.constants
import pytest

from itm.core.errors import ModelError
from itm.zoo.downloads import UnreachableError
from itm.zoo.libraries import find_library
from itm.zoo.libraries.transformers_models import _hub_processor
from tests.zoo.hub_server import Hub

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
