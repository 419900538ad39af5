"""The preprocessing of transformers' image processors, in the words of timm's configurations."""

import json
import logging
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from itm.core.errors import ModelError

log = logging.getLogger(__name__)

# Of Pillow, as image processors store them.
INTERPOLATIONS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
PROCESSORS = ("preprocessor_config.json", "processor_config.json")
SECTION = "image_processor"  # of the second file, as transformers 5 writes it
LARGE = 384  # from this size on, ConvNeXt's processor resizes without cropping
DEFAULT_SIZE = 224


def processor_config(name: str, file: Path | None, model: Any) -> dict[str, Any]:
    """Return the preprocessing of an image processor's file. Without one, it is that of ImageNet in the size of `model`."""
    values = {} if file is None else _values(name, file)
    if not values:
        side = _pair(getattr(model, "image_size", None) or DEFAULT_SIZE)
        _warn_once(name, side)
        return {"input_size": [3, *side], "crop_pct": 1.0, "crop_mode": "squash", "interpolation": "bicubic", **IMAGENET}
    try:
        return _size(values, model) | _scale(values) | {"interpolation": INTERPOLATIONS[int(values.get("resample", 2))]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{name}: {file} is no image processor with a fixed size ({type(error).__name__}: {error})."
        ) from error


def _values(name: str, file: Path) -> dict[str, Any]:
    """Return the values of a file of an image processor, or of this section of a file of a processor; {} if it has none."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        return dict(values.get(SECTION) or {}) if file.name == PROCESSORS[1] else dict(values)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"{name}: {file} is no file of an image processor ({type(error).__name__}: {error}).") from error


@cache
def _warn_once(name: str, side: tuple[int, int]) -> None:
    log.warning("%s has no file of an image processor; images are prepared as for ImageNet, with %d x %d pixels", name, *side)


def _size(values: dict[str, Any], model: Any) -> dict[str, Any]:
    """Return the size of the input, the share of the image that is cropped, and how."""
    size = values.get("size") or values.get("crop_size") or {}
    if isinstance(size, int):
        size = {"height": size, "width": size} if _is_square(values, model) else {"shortest_edge": size}
    elif not isinstance(size, dict):
        size = dict(zip(("height", "width"), size, strict=True))
    if "crop_pct" in values and "shortest_edge" in size:
        edge = int(size["shortest_edge"])
        whole = {"crop_pct": 1.0, "crop_mode": "squash"}
        return {"input_size": [3, edge, edge]} | (
            whole if edge >= LARGE else {"crop_pct": float(values["crop_pct"]), "crop_mode": "center"}
        )
    if values.get("do_center_crop", False) and values.get("do_resize", True):
        crop = _pair(values.get("crop_size") or size)
        mode = "center" if "shortest_edge" in size else "squash"
        return {"input_size": [3, *crop], "crop_pct": min(1.0, min(crop) / min(_pair(size))), "crop_mode": mode}
    if "shortest_edge" in size:  # the other side would depend on the image
        edge = int(size["shortest_edge"])
        return {"input_size": [3, edge, edge], "crop_pct": 1.0, "crop_mode": "center"}
    return {"input_size": [3, *_pair(size)], "crop_pct": 1.0, "crop_mode": "squash"}


def _is_square(values: dict[str, Any], model: Any) -> bool:
    """Return whether one number as size is a square. Otherwise, it is the shortest edge, as the class of the file says.

    Old files have the name of a feature extractor or no class. Then the type of the model decides, as in transformers.
    """
    auto: Any = import_module("transformers.models.auto.image_processing_auto")  # takes seconds to import

    written = values.get("image_processor_type") or values.get("feature_extractor_type")
    known = auto.IMAGE_PROCESSOR_MAPPING_NAMES.get(getattr(model, "model_type", "").removesuffix("_vision_model"), {})
    name = str(written or next(iter(known.values()), "")).replace("FeatureExtractor", "ImageProcessor").removesuffix("Fast")
    found: Any = auto.get_image_processor_class_from_name(name)
    return bool(getattr(found, "default_to_square", True))


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
