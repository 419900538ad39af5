"""Readers of a few images, for tests of decoded images."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import torch

from itm.data.pixels import open_file
from itm.features.image_reader import ImageReader
from itm.store.layout import Store

IMAGES = 12
CONFIG: dict[str, Any] = {
    "input_size": [3, 32, 32],
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
    "interpolation": "bicubic",
    "crop_pct": 0.875,
    "crop_mode": "center",
}


@dataclass
class Counted:
    """Opens images and remembers which."""

    opened: list[str] = field(default_factory=list)

    def __call__(self, path: str) -> BinaryIO:
        self.opened.append(path)
        return open_file(path)


def read(reader: ImageReader, config: dict[str, Any] = CONFIG, while_decoding: bool = False) -> torch.Tensor:
    return torch.stack(list(reader.read(config, workers=2, ahead=4, while_decoding=while_decoding, fill_workers=2)))


def decoded(reader: ImageReader, config: dict[str, Any] = CONFIG) -> torch.Tensor:
    """Return the images without a file."""
    return read(replace(reader, folder=None, open_image=open_file), config)


def files(store: Store) -> list[Path]:
    return sorted(store.decoded.glob("*"))
