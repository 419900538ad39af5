"""Data sets that this library writes itself, once, as PNG files a class per folder: drawn images and scikit-learn's digits."""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from itm.core.errors import StoreError
from itm.data.sources.drawing import DRAWING, MadeSet, draw
from itm.data.sources.parse import made_name
from itm.store.files import write_beside
from itm.store.layout import Store

log = logging.getLogger(__name__)


def digits_folder(store: Store) -> Path:
    """Return the folder of scikit-learn's 1797 handwritten digits of 8 x 8 pixels, written if it is missing."""
    return _written(store.raw("digits"), _write_digits)


def made_folder(made: MadeSet, store: Store) -> Path:
    """Return the folder of a drawn set, drawn if it is missing; its name holds all that determines the pixels."""
    return _written(store.raw(f"made{DRAWING}-{made_name(made, full=True)}"), partial(_write_made, made))


def _written(folder: Path, write: Callable[[Path], None]) -> Path:
    if not folder.is_dir():
        log.info("writing the images of %s", folder)
        try:
            write_beside(folder, write)
        except StoreError:
            if not folder.is_dir():  # else another process was faster and wrote the same
                raise
    return folder


def _write_digits(folder: Path) -> None:
    from sklearn.datasets import load_digits  # heavy, and needed here only

    digits = load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)  # they have 17 levels of grey
    for number, (image, label) in enumerate(zip(pixels, digits.target, strict=True)):
        _save(Image.fromarray(image), folder / str(label) / f"{number:04d}.png")


def _write_made(made: MadeSet, folder: Path) -> None:
    for class_name, number, image in draw(made):
        _save(image, folder / class_name / f"{number:05d}.png")


def _save(image: Image.Image, path: Path) -> None:
    """Save without compression: compressed bytes differ between versions of zlib, and the bytes are the image's id."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, "PNG", compress_level=0)
