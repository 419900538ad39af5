"""Read any image file as the RGB picture a person would see. Ingestion and extraction both open images here.

Worker processes import this module, so it needs Pillow and NumPy only.
"""

import hashlib
import logging
import stat
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageChops, ImageOps

from itm.core.errors import DataError, cause, fix

log = logging.getLogger(__name__)

Open = Callable[[str], BinaryIO]  # opens the image at a location that a source gave

# Formats of pictures. Pillow knows more, but among those are page descriptions that it hands to another program (EPS).
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF", "TGA")


def open_file(path: str) -> BinaryIO:
    """Open a regular local file; opening a pipe would block forever.

    Raises
    ------
    OSError
        If it cannot be opened, or is not a regular file.
    """
    local = Path(path)
    if not stat.S_ISREG(local.stat().st_mode):
        raise OSError("not a regular file")
    return local.open("rb")


def open_verified(location: str, id_: str, open_image: Open) -> Image.Image:
    """Return the image at `location` of a source as RGB if its bytes still have the SHA-256 `id_`.

    Raises
    ------
    DataError
        If it cannot be read, changed after it was ingested, or is not a whole image.
    """
    try:
        with open_image(location) as stream:
            content = stream.read()
    except Exception as error:  # a source of another package raises what it likes
        way_out = "ingest again" if isinstance(error, FileNotFoundError) else fix(error)
        raise DataError(f"{location} can no longer be read ({cause(error)}); {way_out}.") from error
    if hashlib.sha256(content).hexdigest() != id_:
        raise DataError(f"{location} changed after it was ingested; ingest again.")
    try:
        return read_rgb(BytesIO(content))
    except Exception as error:  # decoders raise nearly anything on damaged bytes
        raise DataError(
            f"{location}: cannot be opened as an image ({cause(error)}); repair or remove it and ingest again."
        ) from error


def read_rgb(stream: BinaryIO) -> Image.Image:
    """Read an image as 8-bit RGB, upright, on white where it is transparent, the first frame of an animation.

    Errors of Pillow pass through.

    Raises
    ------
    PIL.Image.DecompressionBombError
        If the header promises more pixels than Pillow's limit; nothing is decoded then.
    """
    with Image.open(stream, formats=FORMATS) as image:
        width, height = image.size
        if Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS:
            raise Image.DecompressionBombError(f"{width} x {height} pixels; the limit is {Image.MAX_IMAGE_PIXELS:,}")
        image.load()
        _turn_upright(image)
        return _to_rgb(image)


def _turn_upright(image: Image.Image) -> None:
    """Turn the image as its EXIF orientation asks; EXIF that cannot be read does not make the pixels worse."""
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except Exception as error:
        log.debug("EXIF of an image cannot be read: %s", error)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return _from_grey((np.asarray(image).astype(np.uint32) + 128) // 257)
    if image.mode in ("I", "F"):
        return _from_grey(_eight_bits(np.asarray(image, dtype=np.float64), floating=image.mode == "F"))
    if image.mode == "CMYK":
        return _from_cmyk(image)
    if image.has_transparency_data or image.mode in ("RGBa", "La"):
        picture = image.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    return image.convert("RGB")


def _from_grey(values: np.ndarray) -> Image.Image:
    return Image.fromarray(values.astype(np.uint8)).convert("RGB")


def _eight_bits(values: np.ndarray, floating: bool) -> np.ndarray:
    """Scale numbers without a declared range to 0..255.

    The range is the smallest of 0..1 (floating point only), 0..255 and 0..65535 that holds all values. If none does, the
    smallest value of the image becomes black and the largest white. Values that are not finite become black.
    """
    finite = np.isfinite(values)
    low, high = (float(values[finite].min()), float(values[finite].max())) if finite.any() else (0.0, 0.0)
    usual = (1.0, 255.0, 65535.0) if floating else (255.0, 65535.0)
    limit = next((top for top in usual if low >= 0 and high <= top), None)
    start, stop = (0.0, limit) if limit else (low, high)
    shifted = np.where(finite, values - start, 0.0)
    return np.rint(shifted * 255 / (stop - start)) if stop > start else np.zeros_like(shifted)


def _from_cmyk(image: Image.Image) -> Image.Image:
    """Convert CMYK to RGB. Pillow inverts every CMYK JPEG, but only those with Adobe's marker are stored inverted."""
    plain = image.info.get("adobe") is None and image.format == "JPEG"
    return (ImageChops.invert(image) if plain else image).convert("RGB")
