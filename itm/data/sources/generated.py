"""Sources whose images the library writes itself as PNG files: `digits` and `synthetic:FAMILY`.

Images with classes are in one folder per class, others in one folder with a file of targets.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from PIL import Image

from itm.core.errors import DataError, StoreError, did_you_mean
from itm.data.rows import Listing, Row
from itm.data.sources.base import OptionValue, Source, register_source
from itm.data.sources.drawing import DRAWING, MASKED, MASKED_CLASSES, SyntheticSet, draw
from itm.data.sources.drawing_masks import draw_masked
from itm.data.sources.drawing_targets import draw_targets
from itm.data.sources.folder import list_folder
from itm.data.sources.mask_folders import find_mask_folders
from itm.kinds import get_kind
from itm.kinds.segmentation import Segmentation
from itm.store.files import write_atomically
from itm.store.layout import Store

log = logging.getLogger(__name__)

LEVELS = 16  # of grey in the digits, without black
ENLARGED = 32  # pixels of a side of a rotated digit
WIDEST = 60  # degrees of a rotation to either side: 6 and 9 stay different
CLASS, ROTATION = "class", "rotation"  # targets of the digits
TARGETS = "targets.json"
ANGLE = "angle [°]"
COLUMNS = {"scenes": "labels", "angle": ANGLE}  # the target of the families without classes


@register_source
@dataclass(frozen=True)
class Digits(Source):
    """scikit-learn's 1797 handwritten digits of 8 x 8 pixels: ten classes, or with `target=rotation` a known rotation each."""

    scheme: ClassVar[str] = "digits"
    usage: ClassVar[str] = "digits"
    options: ClassVar[Mapping[str, type[OptionValue]]] = {"target": str}

    target: str = CLASS

    @classmethod
    def parse(cls, place: str, options: Mapping[str, OptionValue]) -> Self:
        if place:
            raise DataError(f"'digits:{place}': digits has no path; write digits.")
        target = str(options.get("target", CLASS))
        if target not in (CLASS, ROTATION):
            raise DataError(
                f"digits: target is {target!r}{did_you_mean(target, (CLASS, ROTATION))} Known: {CLASS}, {ROTATION}."
            )
        return cls(target)

    @property
    def kind(self) -> str:
        return "classification" if self.target == CLASS else "regression"

    @property
    def default_name(self) -> str:
        return "digits" if self.target == CLASS else f"digits-{self.target}"

    def list(self, store: Store) -> Listing:
        if self.target == CLASS:
            return _list_written(store.raw("digits"), _write_digits)
        return _list_targets(store.raw("digits-rotation"), partial(_write_targets, _rotated_digits), self.kind)

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
    def kind(self) -> str:
        kinds = {"scenes": "multilabel", "angle": "regression", MASKED: Segmentation.name}
        return kinds.get(self.drawn.family, "classification")

    @property
    def default_name(self) -> str:
        """Return the family, and options that differ from the default."""
        return self._name(full=False)

    def list(self, store: Store) -> Listing:
        folder = store.raw(f"synthetic{DRAWING}-{self._name(full=True)}")  # the name has every option that changes pixels
        if self.drawn.family in COLUMNS:
            write = partial(_write_targets, partial(draw_targets, self.drawn))
            return _list_targets(folder, write, self.kind, COLUMNS[self.drawn.family])
        return _list_written(folder, partial(_write_drawn, self.drawn))

    def fingerprint(self) -> None:
        return None

    def _name(self, full: bool) -> str:
        chosen = [f for f in fields(SyntheticSet) if f.name != "family" and (full or getattr(self.drawn, f.name) != f.default)]
        return "-".join([self.drawn.family, *(f"{f.name}{getattr(self.drawn, f.name)}" for f in chosen)])


def _list_written(folder: Path, write: Callable[[Path], None]) -> Listing:
    """List the images of `folder`, after `write` has filled it if it is missing."""
    _fill(folder, write)
    masks = find_mask_folders(folder)
    return masks.list({}) if masks else list_folder(folder)


def _list_targets(folder: Path, write: Callable[[Path], None], kind: str, column: str = ANGLE) -> Listing:
    """List the images of `folder` with the targets of its file, after `write` has filled it if it is missing."""
    _fill(folder, write)
    cells: dict[str, list[str]] = json.loads((folder / TARGETS).read_text(encoding="utf-8"))
    own = [json.dumps(names) for names in cells.values()] if kind == "multilabel" else [cell for (cell,) in cells.values()]
    texts = get_kind(kind).texts({column: own})
    return Listing(tuple(Row((folder / name).as_posix(), name, text) for name, text in zip(cells, texts, strict=True)))


def _fill(folder: Path, write: Callable[[Path], None]) -> None:
    if not folder.is_dir():
        log.info("writing the images of %s", folder)
        try:
            write_atomically(folder, write)
        except StoreError:
            if not folder.is_dir():  # otherwise another process has written it
                raise


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


def _rotated_digits() -> Iterator[tuple[list[str], Image.Image]]:
    """Yield the angle, in degrees clockwise, and the image of every digit, enlarged and rotated."""
    from sklearn.datasets import load_digits  # heavy, and needed only here

    angles = np.random.default_rng(0).uniform(-WIDEST, WIDEST, 1797).round(2)
    for pixels, angle in zip(load_digits().images, angles.tolist(), strict=True):
        image = Image.fromarray(np.rint(pixels * (255 / LEVELS)).astype(np.uint8))
        large = image.resize((ENLARGED, ENLARGED), Image.Resampling.BICUBIC)
        yield [str(angle)], large.rotate(-angle, Image.Resampling.BICUBIC)


def _write_targets(draw_images: Callable[[], Iterator[tuple[list[str], Image.Image]]], folder: Path) -> None:
    cells = {}
    for number, (own, image) in enumerate(draw_images()):
        cells[name := f"{number:05d}.png"] = own
        _save_png(image, folder / name)
    (folder / TARGETS).write_text(json.dumps(cells), encoding="utf-8")


def _save_png(image: Image.Image, path: Path) -> None:
    """Save without compression: compressed bytes, and so the id of the image, depend on the version of zlib."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, "PNG", compress_level=0)
