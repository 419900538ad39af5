"""The preprocessing of transformers' image processors, in the words of timm's configurations."""

import json
import logging
from functools import cache
from pathlib import Path
from typing import Any

from itm.core.errors import ModelError

log = logging.getLogger(__name__)

# Of Pillow, as image processors store them.
INTERPOLATIONS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
LARGE = 384  # from this size on, ConvNeXt's processor resizes without cropping
DEFAULT_SIZE = 224


def processor_config(name: str, file: Path | None, model: Any) -> dict[str, Any]:
    """Return the preprocessing of an image processor's file. Without one, it is that of ImageNet in the size of `model`."""
    if file is None:
        side = _pair(getattr(model, "image_size", None) or DEFAULT_SIZE)
        _warn_once(name, side)
        return {"input_size": [3, *side], "crop_pct": 1.0, "crop_mode": "squash", "interpolation": "bicubic", **IMAGENET}
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        return _size(values) | _scale(values) | {"interpolation": INTERPOLATIONS[int(values.get("resample", 2))]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{name}: {file} is no image processor with a fixed size ({type(error).__name__}: {error})."
        ) from error


@cache
def _warn_once(name: str, side: tuple[int, int]) -> None:
    log.warning("%s has no preprocessor_config.json; images are prepared as for ImageNet, with %d x %d pixels", name, *side)


def _size(values: dict[str, Any]) -> dict[str, Any]:
    """Return the size of the input, the share of the image that is cropped, and how."""
    size = values.get("size") or values.get("crop_size")
    size = {"shortest_edge": size} if isinstance(size, int) else dict(size or {})
    if "crop_pct" in values and "shortest_edge" in size:
        edge = int(size["shortest_edge"])
        whole = {"crop_pct": 1.0, "crop_mode": "squash"}
        return {"input_size": [3, edge, edge]} | (
            whole if edge >= LARGE else {"crop_pct": float(values["crop_pct"]), "crop_mode": "center"}
        )
    if values.get("do_center_crop", False) and values.get("do_resize", True):
        crop = _pair(values.get("crop_size") or size)
        edge = min(_pair(size))
        return {"input_size": [3, *crop], "crop_pct": min(1.0, min(crop) / edge), "crop_mode": "center"}
    if "shortest_edge" in size:  # the other side would depend on the image
        edge = int(size["shortest_edge"])
        return {"input_size": [3, edge, edge], "crop_pct": 1.0, "crop_mode": "center"}
    return {"input_size": [3, *_pair(size)], "crop_pct": 1.0, "crop_mode": "squash"}


def _scale(values: dict[str, Any]) -> dict[str, Any]:
    """Return mean and std of pixels between 0 and 1."""
    rescale = float(values.get("rescale_factor") or 1 / 255) if values.get("do_rescale", True) else 1.0
    factor = 255 * rescale
    mean, std = (values["image_mean"], values["image_std"]) if values.get("do_normalize", True) else ([0.0] * 3, [1.0] * 3)
    return {"mean": [float(one) / factor for one in mean], "std": [float(one) / factor for one in std]}


def _pair(size: Any) -> tuple[int, int]:
    if isinstance(size, int):
        return size, size
    if isinstance(size, dict):
        edge = size.get("shortest_edge")
        return int(edge or size["height"]), int(edge or size["width"])
    height, width = size
    return int(height), int(width)
