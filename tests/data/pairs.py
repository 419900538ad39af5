"""Images and masks of a few stripes."""

from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (12, 8)  # width and height


def save_image(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(number).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


def save_mask(path: Path, values: list[int], mode: str = "L") -> None:
    """Save a mask of vertical stripes of these values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    row = np.repeat(values, SIZE[0] // len(values)).astype(np.uint8)
    image = Image.fromarray(np.tile(row, (SIZE[1], 1)))
    if mode == "P":
        image.putpalette([255 - number % 256 for number in range(768)])
    image.convert(mode).save(path) if mode not in ("L", "P") else image.save(path)


def save_pairs(folder: Path, count: int = 6, images: str = "images", masks: str = "masks", start: int = 0) -> None:
    for number in range(start, start + count):
        save_image(folder / images / f"{number}.png", number)
        save_mask(folder / masks / f"{number}.png", [0, 1, 2] if number % 2 else [0, 0, 2])
