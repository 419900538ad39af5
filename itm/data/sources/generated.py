"""Sources whose images the library writes itself, as PNG files in a folder: `digits` and `synthetic:FAMILY`."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from PIL import Image

from itm.core.errors import DataError, StoreError
from itm.data.rows import Listing
from itm.data.sources.base import OptionValue, Source, register_source
from itm.data.sources.drawing import DRAWING, MASKED, MASKED_CLASSES, SyntheticSet, draw
from itm.data.sources.drawing_masks import draw_masked
from itm.data.sources.folder import list_folder
from itm.data.sources.mask_folders import find_mask_folders
from itm.kinds.classification import Classification
from itm.kinds.segmentation import Segmentation
from itm.store.files import write_atomically
from itm.store.layout import Store

log = logging.getLogger(__name__)

LEVELS = 16  # of grey in the digits, without black


@register_source
@dataclass(frozen=True)
class Digits(Source):
    """scikit-learn's 1797 handwritten digits of 8 x 8 pixels: ten classes."""

    scheme: ClassVar[str] = "digits"
    usage: ClassVar[str] = "digits"

    @classmethod
    def parse(cls, place: str, options: Mapping[str, OptionValue]) -> Self:  # noqa: ARG003
        if place:
            raise DataError(f"'digits:{place}': digits has no path; write digits.")
        return cls()

    @property
    def default_name(self) -> str:
        return "digits"

    def list(self, store: Store) -> Listing:
        return _list_written(store.raw("digits"), _write_digits)

    def fingerprint(self) -> None:
        return None


@register_source
@dataclass(frozen=True)
class Synthetic(Source):
    """Drawn images of one family, such as shapes, of adjustable difficulty; the same options draw the same images."""

    scheme: ClassVar[str] = "synthetic"
    usage: ClassVar[str] = "synthetic:FAMILY?difficulty=0.5&images=900&size=48&seed=0"
    options: ClassVar[Mapping[str, type[OptionValue]]] = {"difficulty": float, "images": int, "size": int, "seed": int}

    drawn: SyntheticSet

    @classmethod
    def parse(cls, place: str, options: Mapping[str, OptionValue]) -> Self:
        return cls(SyntheticSet(place, **options))  # type: ignore[arg-type]  # `options` gives each its type

    @property
    def default_name(self) -> str:
        """Return the family, and options that differ from the default."""
        return self._name(full=False)

    @property
    def kind(self) -> str:
        return Segmentation.name if self.drawn.family == MASKED else Classification.name

    def list(self, store: Store) -> Listing:
        folder = store.raw(f"synthetic{DRAWING}-{self._name(full=True)}")  # the name has every option that changes pixels
        return _list_written(folder, partial(_write_drawn, self.drawn))

    def fingerprint(self) -> None:
        return None

    def _name(self, full: bool) -> str:
        chosen = [f for f in fields(SyntheticSet) if f.name != "family" and (full or getattr(self.drawn, f.name) != f.default)]
        return "-".join([self.drawn.family, *(f"{f.name}{getattr(self.drawn, f.name)}" for f in chosen)])


def _list_written(folder: Path, write: Callable[[Path], None]) -> Listing:
    """List the images of `folder`, after `write` has filled it if it is missing."""
    if not folder.is_dir():
        log.info("writing the images of %s", folder)
        try:
            write_atomically(folder, write)
        except StoreError:
            if not folder.is_dir():  # otherwise another process has written it
                raise
    masks = find_mask_folders(folder)
    return masks.list({}) if masks else list_folder(folder)


def _write_digits(folder: Path) -> None:
    from sklearn.datasets import load_digits  # heavy, and needed only here

    digits = load_digits()
    pixels = np.rint(digits.images * (255 / LEVELS)).astype(np.uint8)
    for number, (image, label) in enumerate(zip(pixels, digits.target, strict=True)):
        _save_png(Image.fromarray(image), folder / str(label) / f"{number:04d}.png")


def _write_drawn(drawn: SyntheticSet, folder: Path) -> None:
    if drawn.family == MASKED:
        for number, (image, mask) in enumerate(draw_masked(drawn)):
            _save_png(image, folder / "images" / f"{number:05d}.png")
            _save_png(mask, folder / "masks" / f"{number:05d}.png")
        (folder / "classes.txt").write_text("\n".join(MASKED_CLASSES) + "\n", encoding="utf-8")
        return
    for class_name, number, image in draw(drawn):
        _save_png(image, folder / class_name / f"{number:05d}.png")


def _save_png(image: Image.Image, path: Path) -> None:
    """Save without compression: compressed bytes, and so the id of the image, depend on the version of zlib."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, "PNG", compress_level=0)
