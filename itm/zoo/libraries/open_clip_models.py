"""Image towers of open_clip: ``open_clip:ARCH/PRETRAINED``, ``open_clip:FOLDER`` or ``open_clip:hf-hub:USER/REPO``.

The embedding is the pooled output of the tower, before the projection to the space of text. The attention pooling of CLIP's
ResNets is one layer with its projection, so theirs is after it.
"""

import json
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from torch import nn

import itm.zoo.timm_gate  # noqa: F401  open_clip imports torchvision
from itm.core.errors import ModelError, did_you_mean
from itm.core.keys import content_key
from itm.zoo.downloads import hub_file, url_file
from itm.zoo.libraries.base import Arguments, Embedder, Library, Settings
from itm.zoo.names import HUB, is_wildcard
from itm.zoo.weight_cache import cached_file

# isort: split
import open_clip
from open_clip.model import _build_vision_tower

CONFIG = "open_clip_config.json"
WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
CROP_MODES = {"shortest": "center", "squash": "squash", "longest": "border"}
MEAN, STD = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD


class Tower(Embedder):
    """An image tower of open_clip without its projection."""

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        found: Any = self.backbone(images)
        embedding: torch.Tensor = found[0] if isinstance(found, tuple) else found  # some towers also return tokens
        return embedding


class OpenClipModels(Library):
    scheme, package, extra = "open_clip", "open_clip_torch", "open-clip"

    def names(self, pattern: str) -> list[str]:
        place = self.place(pattern).rstrip("/")
        folder = Path(place).expanduser()
        if folder.is_dir():
            return self._checked(f"{self.scheme}:{folder.resolve()}")
        if place.startswith(HUB):
            return self._checked(f"{self.scheme}:{place}")
        known = [f"{architecture}/{tag}" for architecture, tag in open_clip.list_pretrained()]
        if is_wildcard(place):
            if not (found := [name for name in known if fnmatchcase(name, place)]):
                raise ModelError(f"no model of open_clip matches {place!r}{did_you_mean(place, known)}")
            return [f"{self.scheme}:{name}" for name in found]
        architecture, _, tag = place.partition("/")
        tags = open_clip.list_pretrained_tags_by_model(architecture)
        if architecture not in open_clip.list_models():
            raise ModelError(f"open_clip has no model {architecture!r}{did_you_mean(architecture, open_clip.list_models())}")
        if tag in tags:
            return [f"{self.scheme}:{place}"]
        if not tag and len(tags) == 1:
            return [f"{self.scheme}:{architecture}/{tags[0]}"]
        problem = f"has no weights {tag!r}{did_you_mean(tag, tags)}" if tag else "has several weights; name one."
        raise ModelError(f"open_clip: {architecture} {problem} It has: {', '.join(tags) or 'none'}.")

    def settings(self, name: str) -> Settings:
        model, images = self._config(name)
        size = images.get("size") or model["vision_cfg"].get("image_size", 224)
        height, width = (size, size) if isinstance(size, int) else size
        preprocessing = {
            "input_size": [3, height, width],
            "crop_pct": 1.0,
            "crop_mode": CROP_MODES[images.get("resize_mode") or "shortest"],
            "interpolation": images.get("interpolation") or "bicubic",
            "mean": list(images.get("mean") or MEAN),
            "std": list(images.get("std") or STD),
        }
        place = self.place(name)
        is_local = Path(place).is_dir()
        pretraining = "" if is_local or place.startswith(HUB) else place.partition("/")[2]
        identity = {"config": content_key([model["embed_dim"], model["vision_cfg"], bool(model.get("quick_gelu"))])}
        return Settings(preprocessing, "" if is_local else place, pretraining, identity)

    def weight_file(self, name: str) -> Path:
        place = self.place(name)
        if Path(place).is_dir():
            if found := next((path for file in WEIGHTS if (path := Path(place) / file).is_file()), None):
                return found
            raise ModelError(f"{name}: {place} has no {' or '.join(WEIGHTS)}.")
        repository, files, url = _origin(place)
        return hub_file(name, repository, files) if repository else url_file(name, url)

    def cached_weights(self, name: str) -> Path | None:
        repository, files, url = _origin(self.place(name))
        return next(filter(None, (cached_file(repository, file, url) for file in files)), None)

    def build(self, name: str, arguments: Arguments) -> nn.Module:
        model, _ = self._config(name)
        vision = {**model["vision_cfg"], "timm_model_pretrained": False, **arguments}
        module: nn.Module = _build_vision_tower(model["embed_dim"], vision, quick_gelu=bool(model.get("quick_gelu")))
        return module

    def embedder(self, module: Any) -> Embedder:
        if hasattr(module, "trunk"):  # of timm; its head is a pooling, or a projection, or both
            pool = getattr(module.head, "pool", None)
            return Tower(nn.Sequential(module.trunk, pool) if pool else module.trunk)
        module.proj = None
        return Tower(module)

    def _checked(self, name: str) -> list[str]:
        self._config(name)
        return [name]

    def _config(self, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the configuration of a model, and that of its images."""
        place = self.place(name)
        if Path(place).is_dir() or place.startswith(HUB):
            is_local = Path(place).is_dir()
            file = Path(place) / CONFIG if is_local else hub_file(name, place.removeprefix(HUB), (CONFIG,))
            try:
                values = json.loads(file.read_text(encoding="utf-8"))
                model = values.get("model_cfg", values)
                model["embed_dim"], model["vision_cfg"]
            except (OSError, ValueError, KeyError, AttributeError) as error:
                raise ModelError(f"{name}: {file} is no configuration of open_clip ({error}).") from error
            return model, values.get("preprocess_cfg", {})
        architecture, _, tag = place.partition("/")
        model = open_clip.get_model_config(architecture)
        if model is None:
            raise ModelError(f"open_clip has no model {architecture!r}{did_you_mean(architecture, open_clip.list_models())}")
        images = open_clip.get_pretrained_cfg(architecture, tag) if tag else {}
        # the activation is that of the training, which the tag knows
        return model | ({"quick_gelu": images["quick_gelu"]} if "quick_gelu" in images else {}), images


def _origin(place: str) -> tuple[str, tuple[str, ...], str]:
    """Return the repository of weights, their possible file names in it, and their URL if there is no repository."""
    if place.startswith(HUB):
        return place.removeprefix(HUB), WEIGHTS, ""
    tag = open_clip.get_pretrained_cfg(*place.split("/", 1))
    repository, _, file = tag.get("hf_hub", "").rpartition("/")
    return repository, (file,) if file else WEIGHTS, tag.get("url", "")


LIBRARY = OpenClipModels()
