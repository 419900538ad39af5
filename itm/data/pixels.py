"""Read any image file as the RGB picture a person would see. Ingestion and extraction both open images here.

Worker processes import this module, so it needs Pillow and NumPy only.
"""

import hashlib
import logging
import os
import stat
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageChops, ImageOps

from itm.core.errors import DataError, cause, fix
from itm.data.pages import go_to_picture
from itm.data.problems import HEAD, UnusableImageError, explain

log = logging.getLogger(__name__)

NOT_A_FILE = "not a regular file"
Open = Callable[[str], BinaryIO]  # opens the image at a location that a source gave

# Formats of pictures. Pillow knows more, but among those are page descriptions that it hands to another program (EPS).
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF", "TGA")
LONGEST_SHAPE = 100  # times the shorter side; models need the shorter side at full size, so longer images take gigabytes


def open_file(path: str) -> BinaryIO:
    """Open a regular local file; opening a pipe would block forever.

    Raises
    ------
    OSError
        If it cannot be opened, or is not a regular file.
    """
    local = Path(path)
    if not stat.S_ISREG(local.stat().st_mode):
        raise OSError(NOT_A_FILE)
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
        is_gone = isinstance(error, FileNotFoundError) or str(error) == NOT_A_FILE
        way_out = "ingest again" if is_gone else fix(error)
        raise DataError(f"{location} can no longer be read ({cause(error)}); {way_out}.") from error
    if hashlib.sha256(content).hexdigest() != id_:
        raise DataError(f"{location} changed after it was ingested; ingest again.")
    try:
        return read_rgb(BytesIO(content))
    except UnusableImageError as problem:
        raise DataError(
            f"{location}: cannot be opened as an image ({problem}); repair or remove it and ingest again."
        ) from problem


def read_rgb(stream: BinaryIO) -> Image.Image:
    """Return the image of `read_picture`."""
    return read_picture(stream).image


class Picture(NamedTuple):
    """An image, and whether it is one of several frames or pages of its file."""

    image: Image.Image
    one_of_several: bool


def read_picture(stream: BinaryIO) -> Picture:
    """Read an image as 8-bit RGB, upright, on white where it is transparent.

    Of an animation it is the first frame, of a TIFF the first page that is no preview of another.

    Raises
    ------
    UnusableImageError
        If the image cannot be decoded, is too large or has an extreme shape. Of the last two, nothing is decoded.
    """
    head, size = stream.read(HEAD), stream.seek(0, os.SEEK_END)
    stream.seek(0)
    try:
        with Image.open(stream, formats=FORMATS) as image:
            go_to_picture(image)
            check_shape(*image.size)
            image.load()
            several = bool(getattr(image, "is_animated", False))
            _turn_upright(image)
            return Picture(_to_rgb(image), several)
    except UnusableImageError:
        raise
    except Exception as error:  # decoders raise nearly anything on damaged bytes
        raise explain(error, head, size) from error


def check_shape(width: int, height: int) -> None:
    """Raise an `UnusableImageError` for a size that cannot be decoded, or cannot be brought to the shape of a model."""
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > limit:
        raise UnusableImageError(
            "too large", f"too large: {width} x {height} pixels; the limit is {limit:,}; make the image smaller"
        )
    if max(width, height) > LONGEST_SHAPE * min(width, height):
        reason = f"extreme shape: {width} x {height} pixels; one side is more than {LONGEST_SHAPE} times the other; crop it"
        raise UnusableImageError("extreme shape", reason)


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
