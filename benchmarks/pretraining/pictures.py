"""Pictures for pre-training, in memory, and random views of them."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl
import torch
import torch.nn.functional as F

from itm.core.errors import DataError
from itm.data.pixels import read_rgb
from itm.data.sources.drawing import FAMILIES, SyntheticSet, draw
from itm.store.files import read_table

MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
COLUMNS = ("class", "jpeg")
DRAWN_SEED = 101  # differs from the seeds of the embedded data sets, so they share no image


@dataclass(frozen=True)
class Pictures:
    """Pixels [n, 3, side, side] in uint8, class numbers [n], and the number of classes."""

    pixels: torch.Tensor
    labels: torch.Tensor
    classes: int
    source: str

    def __len__(self) -> int:
        return len(self.pixels)


def from_parquet(path: Path, source: str) -> Pictures:
    """Read pictures of equal size from a Parquet table with the columns `class` and `jpeg` (the bytes of an image file).

    Raises
    ------
    StoreError
        If the file cannot be read.
    DataError
        If a column is missing, an image cannot be decoded, or the images differ in size.
    """
    table = read_table(path)
    if missing := [name for name in COLUMNS if name not in table.columns]:
        raise DataError(f"{path}: has no column {' and no '.join(missing)}; it has {', '.join(table.columns)}.")
    pixels = []
    for number, image in enumerate(table["jpeg"]):
        try:
            pixels.append(np.asarray(read_rgb(BytesIO(image))))
        except Exception as error:  # decoders raise nearly anything on damaged bytes
            raise DataError(f"{path}: row {number} cannot be decoded as an image ({error}).") from error
    if len({image.shape for image in pixels}) != 1:
        raise DataError(
            f"{path}: all images must have the same size; there are {len({image.shape for image in pixels})} sizes."
        )
    labels = table["class"].cast(pl.String).rank("dense").to_numpy().astype(np.int64) - 1
    return Pictures(_channels_first(pixels), torch.from_numpy(labels), int(labels.max()) + 1, source)


def drawn(images: int) -> Pictures:
    """Generate `images` synthetic pictures per family. The classes of all families are distinct."""
    drawings = [
        (f"{family}/{name}", image)
        for family in FAMILIES
        for name, _, image in draw(SyntheticSet(family, images, difficulty=0.5, seed=DRAWN_SEED))
    ]
    names, labels = np.unique([name for name, _ in drawings], return_inverse=True)
    pixels = [np.asarray(image) for _, image in drawings]
    return Pictures(_channels_first(pixels), torch.from_numpy(labels), len(names), f"drawn {' + '.join(FAMILIES)}")


def _channels_first(pixels: list[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous()


def views(pixels: torch.Tensor, size: int, smallest: float, colour: float) -> torch.Tensor:
    """Return a normalised random view of each picture, [b, 3, size, size]. It uses the global generator of torch.

    A view is a crop with at least the share `smallest` of the area, and is mirrored with probability 0.5. Brightness, contrast
    and saturation change by up to `colour`. With `colour` above 0, a fifth of the views is grey.
    """
    count = len(pixels)
    area = torch.empty(count).uniform_(smallest, 1)
    shape = torch.empty(count).uniform_(-0.29, 0.29).exp()  # aspect ratio 3:4 to 4:3
    height, width = (area / shape).sqrt().clamp(max=1), (area * shape).sqrt().clamp(max=1)
    centre_x, centre_y = ((1 - extent) * torch.empty(count).uniform_(-1, 1) for extent in (width, height))
    mirror = torch.randint(0, 2, (count,)) * 2.0 - 1
    zero = torch.zeros(count)
    rows = torch.stack([torch.stack([width * mirror, zero, centre_x], 1), torch.stack([zero, height, centre_y], 1)], 1)
    grid = F.affine_grid(rows, [count, 3, size, size], align_corners=False)
    seen = F.grid_sample(pixels.float() / 255, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return normalise(_change_colours(seen, colour) if colour else seen)


def _change_colours(seen: torch.Tensor, amount: float) -> torch.Tensor:
    bright, contrast, saturation = torch.empty(3, len(seen), 1, 1, 1).uniform_(1 - amount, 1 + amount)
    seen = seen * bright
    middle = seen.mean((1, 2, 3), keepdim=True)
    seen = middle + contrast * (seen - middle)
    grey = seen.mean(1, keepdim=True)
    saturation = torch.where(torch.rand_like(saturation) < 0.2, 0.0, saturation)
    return (grey + saturation * (seen - grey)).clamp(0, 1)


def normalise(seen: torch.Tensor) -> torch.Tensor:
    """Return pixels in 0 to 1, normalised for the models."""
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    return (seen - mean) / std
