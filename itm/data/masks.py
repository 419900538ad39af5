"""Read the mask of an image: the number of the class of each pixel, and which of its values are classes."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from typing import NamedTuple

import numpy as np
from PIL import Image

from itm.core.errors import DataError, cause
from itm.data.image_hashes import ImageHashes
from itm.data.legend import Legend
from itm.data.pixels import NOT_A_FILE, Open, check_shape
from itm.data.problems import HEAD, UnusableImageError, explain
from itm.data.rows import Rejection, Row
from itm.kinds.mask_target import MaskTarget

FORMATS = ("PNG", "TIFF", "BMP", "GIF")  # those that keep every value
MODES = ("1", "L", "P", "I", "I;16", "I;16L", "I;16B")


class KnownMask(NamedTuple):
    """The target of a mask that was read before, and its size."""

    target: str
    width: int
    height: int


@dataclass(frozen=True)
class MaskReader:
    """Completes rows with the target of their mask. `known` has masks by id that were read with the same legend."""

    open_image: Open
    legend: Legend
    known: Mapping[str, KnownMask]
    hashes: ImageHashes

    def complete(self, row: Row) -> Row:
        """Return a row of an image that can be used with its target, or rejected with the reason."""
        assert row.mask is not None
        try:
            found = self._read(row.mask)
        except FileNotFoundError:
            return row.reject("no mask", f"its mask {row.mask} is missing")
        except UnusableImageError as problem:
            named: tuple[Rejection, ...] = ("unknown class", "only void")
            if problem.rejection in named:
                return row.reject(problem.rejection, problem.reason)
            return row.reject("unreadable mask", f"its mask {row.mask}: {problem.reason}")
        except Exception as error:  # a source of a plug-in can raise anything
            return row.reject("unreadable mask", f"its mask {row.mask} cannot be read ({cause(error)})")
        if (found.width, found.height) != (row.width, row.height):
            sizes = f"{found.width} x {found.height} pixels, and the image {row.width} x {row.height}"
            return row.reject("wrong mask size", f"its mask has {sizes}; make them equal")
        return replace(row, target=found.target)

    def _read(self, location: str) -> KnownMask:
        state, digest = self.hashes.find(location)
        if digest and digest in self.known:
            return self.known[digest]
        with self.open_image(location) as stream:
            content = stream.read()
        digest = hashlib.sha256(content).hexdigest()
        self.hashes.add(location, state, digest)
        if digest in self.known:
            return self.known[digest]
        mask = decode_mask(content)
        return KnownMask(read_target(digest, mask, self.legend).text, mask.shape[1], mask.shape[0])


def read_target(id_: str, mask: np.ndarray, legend: Legend) -> MaskTarget:
    """Return the target of a mask [height, width] with the SHA-256 `id_`.

    Raises
    ------
    UnusableImageError
        If a value has no name, or all pixels are ignored.
    """
    names = legend.by_value
    counted = zip(*(part.tolist() for part in np.unique(mask, return_counts=True)), strict=True)
    found = [(value, count) for value, count in counted if value not in legend.ignored]
    if unknown := [value for value, _ in found if names and value not in names]:
        reason = f"its mask has {legend.describe(unknown)}; correct it, or write ?ignore={unknown[0]}"
        raise UnusableImageError("unknown class", reason)
    if not found:
        raise UnusableImageError("only void", "all pixels of its mask are ignored; remove the image")
    return MaskTarget(id_, tuple((value, names.get(value, str(value)), count) for value, count in found), legend.patches)


def decode_mask(content: bytes) -> np.ndarray:
    """Return the values [height, width] of the bytes of a mask; of a palette, its numbers and not its colours.

    Raises
    ------
    UnusableImageError
        If it cannot be decoded, or has colours instead of numbers.
    """
    if not content:
        raise UnusableImageError("empty", "the file has 0 bytes")
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            check_shape(*image.size)
            if image.mode not in MODES:
                raise UnusableImageError(
                    "unsupported", f"has colours ({image.mode}); save the number of the class of each pixel, as grey or palette"
                )
            return np.asarray(image).astype(np.int64)
    except UnusableImageError:
        raise
    except Exception as error:  # decoders raise nearly anything on damaged bytes
        raise explain(error, content[:HEAD], len(content)) from error


def open_verified_mask(location: str, target: MaskTarget, open_image: Open) -> np.ndarray:
    """Return the values [height, width] of a mask if its bytes are still those of its target.

    Raises
    ------
    DataError
        If it cannot be read, or changed after it was ingested.
    """
    try:
        with open_image(location) as stream:
            content = stream.read()
    except Exception as error:  # a source of another package raises what it likes
        reason = os.strerror(2) if str(error) == NOT_A_FILE else cause(error)
        raise DataError(f"{location} can no longer be read ({reason}); ingest again.") from error
    if hashlib.sha256(content).hexdigest() != target.id:
        raise DataError(f"{location} changed after it was ingested; ingest again.")
    return decode_mask(content)
