"""Choose the picture of a file that holds several: a TIFF can begin with a small preview of another page."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image, TiffImagePlugin

from itm.data.problems import UnusableImageError

log = logging.getLogger(__name__)

SUBFILE_TYPE, OLD_SUBFILE_TYPE, SUB_IFDS = 254, 255, 330
REDUCED, NO_PICTURE = 2, 0b101  # of the old type; bits of the new one for a reduced version and for a mask
LARGER = 2  # times the sides of another page: this one is its preview
_PREVIEW = (
    "holds a reduced preview first, and its full picture cannot be decoded (a camera raw file?); convert it to JPEG or PNG"
)


@dataclass(frozen=True)
class Page:
    """A page of a TIFF that Pillow can go to."""

    number: int
    width: int
    height: int
    reduced: bool

    def is_preview_of(self, other: "Page") -> bool:
        return other.width >= LARGER * self.width and other.height >= LARGER * self.height


def go_to_picture(image: Image.Image) -> None:
    """Go to the page of a TIFF that is a picture of its own: the first that is no reduced version of another.

    Raises
    ------
    UnusableImageError
        If only a preview can be read.
    """
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return
    if _is_preview_of_hidden(image):
        raise UnusableImageError("preview", _PREVIEW)
    pages = [page for page in _pages(image) if not page.reduced]
    full = next((page for page in pages if not any(page.is_preview_of(other) for other in pages)), None)
    if full is None:
        raise UnusableImageError("preview", _PREVIEW)
    image.seek(full.number)


def _pages(image: TiffImagePlugin.TiffImageFile) -> Iterator[Page]:
    """Yield the pages up to the first that cannot be read."""
    number = 0
    while True:
        try:
            image.seek(number)
        except Exception as error:
            if number == 0:
                raise
            if not isinstance(error, EOFError):
                image.seek(0)
            return
        tags = image.tag_v2
        reduced = bool(tags.get(SUBFILE_TYPE, 0) & NO_PICTURE) or tags.get(OLD_SUBFILE_TYPE) == REDUCED
        yield Page(number, *image.size, reduced)
        number += 1


def _is_preview_of_hidden(image: TiffImagePlugin.TiffImageFile) -> bool:
    """Return whether the first page is a preview of a picture in a place that Pillow does not go to, as in camera raw files."""
    assert image.fp
    image.fp.seek(0)
    head = image.fp.read(16)
    if head[8:10] == b"CR":  # Canon's CR2
        return True
    first, offsets = Page(0, *image.size, reduced=False), image.tag_v2.get(SUB_IFDS, ())
    for offset in offsets if isinstance(offsets, tuple) else (offsets,):
        try:
            directory = TiffImagePlugin.ImageFileDirectory_v2(head if head[2:3] == b"+" else head[:8])
            image.fp.seek(offset)
            directory.load(image.fp)
            sides = directory[TiffImagePlugin.IMAGEWIDTH], directory[TiffImagePlugin.IMAGELENGTH]
        except Exception as error:  # a damaged directory does not make the first page worse
            log.debug("a directory of a TIFF cannot be read: %s", error)
            continue
        if first.is_preview_of(Page(0, *sides, reduced=False)):
            return True
    return False
