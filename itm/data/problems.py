"""Why an image cannot be used, in words that name the cause. Worker processes import this module: it needs Pillow only."""

import re
import struct
import zlib
from typing import Literal

from PIL import Image, UnidentifiedImageError

from itm.core.errors import DataError
from itm.data.rows import Rejection

HEAD = 512  # bytes from which a format is recognised
FEWEST_ENTRIES = 8  # of the directory of a TIFF, each of 12 bytes

# Formats that are read, by their first bytes.
_READ = {
    b"\xff\xd8": "JPEG",
    b"\x89PNG": "PNG",
    b"GIF8": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"RIFF....WEBP": "WebP",
    b"BM": "BMP",
    b"\0\0\0\x0cjP": "JPEG 2000",
    b"....ftypavif": "AVIF",
}
# Files that are often found beside images, by their first bytes.
_OTHERS = {
    b"....ftyp(?:hei|hev|mif|msf)": "a HEIC image; convert it to JPEG or PNG",
    b"....ftypcrx|FUJIFILM|II(?:RO|RS|U\0)|MMOR": "a camera raw file; convert it to JPEG or PNG",
    b"....ftyp|RIFF....AVI |\x1aE\xdf\xa3|\0\0\x01\xba": "a video; extract its frames as JPEG or PNG",
    b"version https://git-lfs": "a Git LFS pointer; fetch the image with `git lfs pull`",
    rb"/?(?:\.git/)?\.?annex/objects|.{0,40}/annex/objects": "a git-annex pointer; fetch the image with `git annex get`",
    b"%PDF": "a PDF document; export its pages as JPEG or PNG",
    b"%!PS": "a PostScript page; convert it to JPEG or PNG",
    rb"8BPS": "a Photoshop document; export it as JPEG or PNG",
    b"\0\0\x01\0|icns": "an icon; convert it to PNG",
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml.*)?<svg": "an SVG drawing; convert it to PNG",
    rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html)": "a web page, perhaps a failed download; download the image again",
    b"PK\x03\x04": "a zip archive or an Office document; unpack it",
    b"\x93NUMPY": "a NumPy array; save it as PNG",
    b".{128}DICM": "a DICOM image; convert it to PNG",
    b"\x89HDF": "an HDF5 file; save its images as PNG",
    b"SIMPLE  =|v/1\x01|#\\?RADIANCE|\xff\x0a|\0\0\0\x0cJXL": "an image in a format that is not supported; convert it to PNG",
    b"\0\x05\x16\x07": "a file of macOS beside an image (AppleDouble); remove it",
}
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error)
_UNSUPPORTED = re.compile(
    r"not (available|supported|implemented)|unsupported|unknown (raw|pixel|compression|mode|filter)", re.IGNORECASE
)
_NO_MEMORY = re.compile("out of memory|cannot allocate", re.IGNORECASE)


class UnusableImageError(DataError):
    """The reason why one image is rejected."""

    def __init__(self, rejection: Rejection, reason: str) -> None:
        super().__init__(rejection, reason)
        self.rejection, self.reason = rejection, reason

    def __str__(self) -> str:
        return self.reason


def explain(error: Exception, head: bytes, size: int) -> UnusableImageError:
    """Return the reason why an image of `size` bytes that begins with `head` cannot be decoded."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, UnidentifiedImageError):
        return _unidentified(head, size)
    if isinstance(error, MemoryError) or _NO_MEMORY.search(text):
        return UnusableImageError("too large", "too large: decoding it needs more memory than is free; make the image smaller")
    if isinstance(error, Image.DecompressionBombError):
        pixels = next((f"{int(count):,}" for count in re.findall(r"\((\d+) pixels\)", text)), "too many")
        limit = f"{Image.MAX_IMAGE_PIXELS:,}"
        return UnusableImageError("too large", f"too large: {pixels} pixels; the limit is {limit}; make the image smaller")
    if "too large" in text:  # as Pillow says of texts in a PNG
        return UnusableImageError("too large", f"too large: {text}; convert the image to JPEG, or remove its comments")
    if isinstance(error, OSError) and error.errno:
        return UnusableImageError("unreadable", f"unreadable: {error.strerror}")
    if _UNSUPPORTED.search(text) or isinstance(error, NotImplementedError):
        name = _name(_READ, head) or "image"
        return UnusableImageError(
            "unsupported", f"unsupported: a kind of {name} that Pillow cannot decode ({text}); convert it to PNG"
        )
    if isinstance(error, _DAMAGE):
        return UnusableImageError("truncated or damaged", f"truncated or damaged: {text}; copy or download the image again")
    return UnusableImageError(
        "unreadable", f"unreadable: Pillow failed with {type(error).__name__}: {text}; convert the image to PNG"
    )


def _unidentified(head: bytes, size: int) -> UnusableImageError:
    name = _name(_READ, head)
    if name == "TIFF" and not _is_cut(head, size):
        reason = (
            "unsupported: a TIFF that Pillow cannot decode, since its layout is unusual or it is cut off; convert it to PNG"
        )
        return UnusableImageError("unsupported", reason)
    if name:
        reason = f"truncated or damaged: it begins like a {name} image, but the header is not whole"
        return UnusableImageError("truncated or damaged", f"{reason}; copy or download the image again")
    other = _name(_OTHERS, head)
    return UnusableImageError(
        "not an image", f"not an image, but {other}" if other else "not an image, or an unsupported format"
    )


def _name(known: dict[bytes, str], head: bytes) -> str:
    flags = re.DOTALL | re.IGNORECASE if known is _OTHERS else re.DOTALL
    patterns = (re.escape(mark).replace(rb"\.", b".") if known is _READ else mark for mark in known)
    return next((name for pattern, name in zip(patterns, known.values(), strict=True) if re.match(pattern, head, flags)), "")


def _is_cut(head: bytes, size: int) -> bool:
    """Return whether the directory of a TIFF reaches beyond the end of the file."""
    order: Literal["little", "big"] = "little" if head[:2] == b"II" else "big"
    start = int.from_bytes(head[4:8], order)
    entries = int.from_bytes(head[start : start + 2], order) if start + 2 <= len(head) else FEWEST_ENTRIES
    return start + 2 + 12 * entries > size
