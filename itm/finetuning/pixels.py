"""Fine-tuning for masks: maps become rows of patches for the first head, and outputs are compared with every pixel."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import torch
from torch.nn import functional

from itm.core.types import TargetSpec
from itm.data.masks import open_verified_mask
from itm.data.pixels import Open
from itm.features.patches import GRID, cell_labels, class_numbers
from itm.kinds import get_kind
from itm.kinds.mask_target import MaskTarget
from itm.kinds.segmentation import IGNORED

Tensor = torch.Tensor
CHUNK = 16  # images whose outputs are enlarged at once


def mask_size(table: pl.DataFrame) -> tuple[int, int]:
    """Return the most frequent height and width of usable images, in which all masks are compared."""
    return Counter(table.select("height", "width").iter_rows()).most_common(1)[0][0]


def read_masks(rows: pl.DataFrame, target: TargetSpec, open_mask: Open, size: tuple[int, int]) -> Tensor:
    """Return the class numbers [n, height, width] of masks, `IGNORED` where there is none, in one size."""
    names = {name: number for number, name in enumerate(target.names)}

    def read(row: tuple[str, str]) -> Tensor:
        found = MaskTarget.read(row[0])
        numbers = class_numbers(open_verified_mask(row[1], found, open_mask), found.numbers(names))
        return resized(torch.from_numpy(numbers.astype(np.int16))[None], size)[0]

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return torch.stack([*pool.map(read, rows.select("target", "mask").iter_rows())])


def resized(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Return masks [n, height, width] in another size; the value of a pixel is that of the nearest one."""
    if masks.shape[-2:] == size:
        return masks
    return functional.interpolate(masks[:, None].float(), size, mode="nearest-exact")[:, 0].to(masks.dtype)


def cell_rows(maps: Tensor, masks: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Return embeddings [m, width] and class numbers [m] of the cells of maps [n, width, rows, columns] that have a class."""
    labels = torch.from_numpy(np.stack([cell_labels(mask, classes) for mask in masks.cpu().numpy()])).to(maps.device)
    cells = functional.interpolate(maps, (GRID, GRID), mode="bilinear", align_corners=False).flatten(2).transpose(1, 2)
    return cells[labels != IGNORED], labels[labels != IGNORED]


def evaluate_pixels(outputs: Tensor, masks: Tensor, target: TargetSpec) -> tuple[float, float, float]:
    """Return mean IoU, pixel accuracy and loss of outputs [n, classes, rows, columns], enlarged to masks [n, height, width].

    Ignored pixels do not count. Intersections and unions are those of all images together.
    """
    classes = len(target.names)
    both, either, right, seen, loss = torch.zeros(classes), torch.zeros(classes), 0, 0, 0.0
    for own, mask in zip(outputs.split(CHUNK), masks.split(CHUNK), strict=True):
        enlarged = functional.interpolate(own, mask.shape[-2:], mode="bilinear", align_corners=False)
        valid = mask != IGNORED
        predicted, actual = enlarged.argmax(dim=1)[valid], mask[valid].long()
        counts = torch.bincount(actual * classes + predicted, minlength=classes**2).view(classes, classes).cpu().double()
        both, right = both + counts.diag(), right + int(counts.diag().sum())
        either = either + counts.sum(dim=0) + counts.sum(dim=1) - counts.diag()
        loss += float(get_kind(target.kind).loss(own, mask, target)) * int(valid.sum())
        seen += int(valid.sum())
    overlap = both[either > 0] / either[either > 0]
    return float(overlap.mean()), right / seen, loss / seen
