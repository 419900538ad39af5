"""The patches of images with masks: which are used, of which class they are, and how they become rows.

All models share one grid of cells over the whole image, so the rows of all models are the same patches with the same classes.
The label of a cell is the most frequent class of its pixels without the ignored ones.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl
import torch

from itm.core.errors import DataError
from itm.core.parallel import map_ahead
from itm.core.types import TargetSpec
from itm.data.masks import open_verified_mask
from itm.data.pixels import Open
from itm.kinds.mask_target import MaskTarget
from itm.kinds.segmentation import IGNORED

GRID = 14  # cells per side: the patches of 16 pixels of an image of 224
SEED = 0  # of the choice of cells
PATCHES = {"grid": GRID, "seed": SEED, "version": 1}  # raise the version when other cells are chosen or labelled


@dataclass(frozen=True)
class Rows:
    """The rows of a feature file: one per image, or some of the cells of each image.

    Attributes
    ----------
    table
        The columns id, group, split and path of each row.
    targets
        The encoded targets [n].
    chosen
        Which cells [images, cells] are rows, in order; None if every image is a row.
    """

    table: pl.DataFrame
    targets: np.ndarray
    chosen: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.table)

    def place(self, images: slice) -> slice:
        """Return the rows of consecutive images."""
        if self.chosen is None:
            return images
        start, count = int(self.chosen[: images.start].sum()), int(self.chosen[images].sum())
        return slice(start, start + count)

    def take(self, output: torch.Tensor, images: slice) -> torch.Tensor:
        """Return the rows [m, width] of an output of consecutive images: [images, width], or [images, cells, width]."""
        if self.chosen is None:
            return output
        cells = torch.from_numpy(np.flatnonzero(self.chosen[images])).to(output.device)
        return output.flatten(0, 1)[cells]


def patch_rows(images: pl.DataFrame, target: TargetSpec, open_mask: Open, workers: int) -> Rows:
    """Return the patches of usable images of an index, in the order of the images.

    Raises
    ------
    DataError
        If a mask cannot be read or changed, or no cell has a class.
    """
    names = {name: number for number, name in enumerate(target.names)}
    one = partial(_cells, names=names, open_mask=open_mask)
    with ThreadPoolExecutor(max(1, workers), thread_name_prefix="masks") as pool:
        cells = np.stack([*map_ahead(pool, lambda row: one(*row), _read(images), 4 * max(1, workers))])
    chosen = cells != IGNORED
    if not chosen.any():
        raise DataError("no patch has a class: most pixels of all of them are ignored; check the masks.")
    image, cell = np.nonzero(chosen)
    ids = pl.col("id") + pl.Series([f"-{number:03d}" for number in cell])
    table = images[image].with_columns(group=pl.coalesce("group", "id"), id=ids)
    return Rows(table.select("id", "group", "split", "path"), cells[chosen], chosen)


def _read(images: pl.DataFrame) -> Iterable[tuple[str, str, str]]:
    return images.select("id", "target", "mask").iter_rows()


def _cells(id_: str, target: str, mask: str, names: dict[str, int], open_mask: Open) -> np.ndarray:
    """Return the class number of each chosen cell of an image, and `IGNORED` for the others."""
    found = MaskTarget.read(target)
    numbers = class_numbers(open_verified_mask(mask, found, open_mask), found.numbers(names))
    labels = cell_labels(numbers, len(names))
    chosen = choose_cells(labels, found.patches, np.random.default_rng([SEED, int(id_[:16], 16)]))
    cells = np.full(len(labels), IGNORED)
    cells[chosen] = labels[chosen]
    return cells


def class_numbers(mask: np.ndarray, numbers: dict[int, int]) -> np.ndarray:
    """Return the class number of each value of a mask [height, width], and `IGNORED` for values without one."""
    values, places = np.unique(mask, return_inverse=True)
    return np.array([numbers.get(value, IGNORED) for value in values.tolist()], dtype=np.int64)[places].reshape(mask.shape)


def cell_labels(numbers: np.ndarray, classes: int, grid: int = GRID) -> np.ndarray:
    """Return the most frequent class of the pixels of each cell [grid * grid] of class numbers [height, width].

    A cell of mostly ignored pixels, or without pixels, is `IGNORED`. Of several classes, it is the first.
    """
    height, width = numbers.shape
    cell = np.add.outer(np.arange(height) * grid // height * grid, np.arange(width) * grid // width)
    counts = np.bincount((cell * (classes + 1) + numbers + 1).ravel(), minlength=grid**2 * (classes + 1))
    counts = counts.reshape(grid**2, classes + 1)
    named = counts[:, 1:].sum(axis=1)
    return np.where((named > 0) & (named >= counts[:, 0]), counts[:, 1:].argmax(axis=1), IGNORED)


def choose_cells(labels: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Return the numbers of at most `most` cells with a label, in ascending order.

    Every class of the image gets the same number of them, as far as it has so many: rare classes are all used.
    """
    order = rng.permutation(np.flatnonzero(labels != IGNORED))
    turn = np.empty(len(order), dtype=np.int64)  # how many cells of the same class come before
    for label in np.unique(labels[order]):
        own = labels[order] == label
        turn[own] = np.arange(own.sum())
    return np.sort(order[np.argsort(turn, kind="stable")[:most]])
