"""Predictions for images in any common form.

This file is also part of registered models, which are loaded where itm is not installed. So it imports nothing of itm.
"""

from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

BATCH = 32  # images
DEEP_MODES = ("I", "F")  # first letters of modes with more than 8 bits; Pillow cuts their values
Open = Callable[[str], Image.Image]


def predict(
    model: torch.nn.Module, transform: Any, images: Any, classifies: bool, open_image: Open | None = None
) -> np.ndarray:
    """Return embeddings [n, width], or class probabilities [n, classes] if the model classifies, as float32.

    `images` are a path, a PIL image, an array [height, width, 3] or [n, height, width, 3] of bytes, the encoded bytes of an
    image, a list of these, or a pandas column of paths.
    """
    device = next(model.parameters()).device
    pictures, found = _pictures(images, open_image or open_picture), []
    while batch := [transform(picture) for picture in islice(pictures, BATCH)]:
        with torch.inference_mode():
            outputs = model(torch.stack(batch).to(device)).float()
        found.append((outputs.softmax(dim=1) if classifies else outputs).cpu().numpy())
    if not found:
        raise ValueError("there is no image to predict; give paths, PIL images or arrays.")
    return np.concatenate(found)


def open_picture(path: str) -> Image.Image:
    """Return an image file as RGB, upright, on white where it is transparent."""
    return _opened(path, path)


def _opened(file: str | BytesIO, name: str) -> Image.Image:
    try:
        with Image.open(file) as image:
            upright = ImageOps.exif_transpose(image)
    except Image.DecompressionBombError as error:
        raise ValueError(f"{name}: has too many pixels; make the image smaller.") from error
    except (OSError, SyntaxError, ValueError) as error:  # Pillow raises all of them for damaged files
        reason = getattr(error, "strerror", None) or "it is not an image that Pillow can read"
        raise ValueError(f"{name}: cannot be opened ({reason}); check the file.") from error
    return _to_rgb(upright, name)


def _pictures(images: Any, open_image: Open) -> Iterator[Image.Image]:
    if isinstance(images, str | Path):
        yield open_image(str(images))
    elif isinstance(images, Image.Image):
        yield _to_rgb(images, "a PIL image")
    elif isinstance(images, bytes):
        yield _opened(BytesIO(images), "the encoded image")
    elif isinstance(images, np.ndarray) and images.dtype.kind not in "OUS":
        yield from map(_from_array, images if images.ndim == 4 else [images])
    elif hasattr(images, "columns"):  # a pandas table, as MLflow serves requests
        if len(images.columns) != 1:
            raise ValueError(f"a table needs one column, of paths; it has {', '.join(map(str, images.columns))}.")
        yield from _pictures(images.iloc[:, 0].tolist(), open_image)
    elif isinstance(images, list | tuple) or hasattr(images, "tolist"):
        for image in images if isinstance(images, list | tuple) else images.tolist():
            yield from _pictures(image, open_image)
    else:
        raise ValueError(
            f"{images!r:.80} of type {type(images).__name__} is no image; give paths, PIL images or arrays [height, width, 3] "
            "of bytes."
        )


def _from_array(pixels: np.ndarray) -> Image.Image:
    shape = " x ".join(map(str, pixels.shape))
    if pixels.size == 0 or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (1, 3, 4)):
        raise ValueError(f"an array of {shape} is no image; give [height, width, 3], or [n, height, width, 3] for several.")
    if pixels.dtype != np.uint8:
        if pixels.dtype.kind not in "iu" or pixels.min() < 0 or pixels.max() > 255:  # requests have 64-bit numbers
            raise ValueError(f"an array of {pixels.dtype} is no image; convert it to bytes (uint8) between 0 and 255.")
        pixels = pixels.astype(np.uint8)
    return _to_rgb(Image.fromarray(pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels), "an array")


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode.startswith(DEEP_MODES) or image.mode == "CMYK":
        raise ValueError(f"{name}: has the mode {image.mode}, for which there is no single way to RGB; convert it before.")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")
