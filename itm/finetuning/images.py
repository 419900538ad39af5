"""The images of a data set, decoded once into bytes and cropped a batch at a time on the device.

Images of all splits are evaluated exactly as at extraction. Training uses random crops of a canvas a little larger than the
input of the model.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl
import torch
from torch.nn import functional

from itm.core.errors import DataError
from itm.core.progress import progress_bar
from itm.core.types import DataRef, SplitName
from itm.data.pack import with_images_here
from itm.data.pixels import Open
from itm.features.decode import decode
from itm.finetuning.pixels import mask_size, read_masks, resized
from itm.kinds import get_kind
from itm.store.layout import Store

Tensor = torch.Tensor
SPLITS: tuple[SplitName, ...] = ("train", "val", "test")
LARGER = 1.15  # sides of the canvas over those of the input, so that crops are rarely enlarged
EVALUATION_BATCH = {"cpu": 16, "cuda": 256}  # images per batch


@dataclass(frozen=True)
class Part:
    """The images [n, channels, height, width] of a split as bytes, with their encoded targets, or masks [n, height, width]."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Images:
    """The splits as a model sees them, the canvases of the training images, and how bytes become its input.

    `mask_canvases` [n, height, width] are the masks of the canvases, if labels are masks.
    """

    splits: dict[SplitName, Part]
    canvases: Tensor
    size: tuple[int, int]
    mean: Tensor
    std: Tensor
    device: torch.device
    mask_canvases: Tensor | None = None

    def batches(self, split: SplitName) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield inputs [b, channels, height, width] and labels [b] of a split, in order."""
        part = self.splits[split]
        size = EVALUATION_BATCH.get(self.device.type, 128)
        for images, labels in zip(part.images.split(size), part.labels.split(size), strict=True):
            yield self._normalised(images.to(self.device).float()), labels.to(self.device)

    def cropped(self, rows: Tensor, smallest: float, mirror: bool, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return random crops [b, channels, height, width] of training images, and their labels [b] or cropped masks.

        A crop is a share of the area of the canvas between `smallest` and 1, with the same proportions, at a random place.
        """
        drawn = torch.rand(4, len(rows), generator=generator)
        share = math.sqrt(smallest) + (1 - math.sqrt(smallest)) * drawn[0]  # of a side
        place = torch.zeros(len(rows), 2, 3)
        place[:, 0, 0] = torch.where(drawn[3] < 0.5, -share, share) if mirror else share
        place[:, 1, 1] = share
        place[:, :, 2] = ((2 * drawn[1:3] - 1) * (1 - share)).T
        canvases = self.canvases[rows].to(self.device).float()
        grid = functional.affine_grid(place.to(self.device), [*canvases.shape[:2], *self.size], align_corners=False)
        crops = functional.grid_sample(canvases, grid, padding_mode="border", align_corners=False)
        if self.mask_canvases is None:
            return self._normalised(crops), self.splits["train"].labels[rows].to(self.device)
        masks = self.mask_canvases[rows][:, None].to(self.device).float()
        found = functional.grid_sample(masks, grid, mode="nearest", padding_mode="border", align_corners=False)
        return self._normalised(crops), found[:, 0].long()

    def _normalised(self, images: Tensor) -> Tensor:
        return images.sub_(self.mean).div_(self.std).contiguous(memory_format=torch.channels_last)


def read_images(table: pl.DataFrame, data: DataRef, config: dict[str, Any], device: torch.device, store: Store) -> Images:
    """Decode the usable images of an index by a model's preprocessing `config`.

    Raises
    ------
    DataError
        If a split has no image, or an image changed since it was ingested.
    """
    name, kind = data.name, get_kind(data.target.kind)
    usable, open_image = with_images_here(table.filter(pl.col("status") == "ok"), data, store)
    rows = {split: usable.filter(pl.col("split") == split) for split in SPLITS}
    if missing := [split for split in SPLITS if rows[split].is_empty()]:
        raise DataError(
            f"{name} has no {' and no '.join(missing)} images; fine-tuning learns from train, chooses on val and is tested on "
            "test, so give each a share in data.splits."
        )
    channels, height, width = config["input_size"]
    canvas = config | {"input_size": [channels, math.ceil(LARGER * height), math.ceil(LARGER * width)], "crop_pct": 1.0}
    parts, canvases = {}, torch.empty(0)
    for split, own in rows.items():
        configs = (config, canvas) if split == "train" else (config,)
        decoded = _decoded(own, open_image, configs, f"{name}: {split} images")
        if kind.level == "patch":
            labels = read_masks(own, data.target, open_image, mask_size(usable))
        else:
            labels = torch.from_numpy(kind.encode(own["target"].to_list(), data.target))
        parts[split] = Part(decoded[0], labels)
        canvases = decoded[1] if split == "train" else canvases
    mean, std = (255 * torch.tensor(config[word]).view(1, channels, 1, 1).to(device) for word in ("mean", "std"))
    canvas_size = canvases.shape[-2], canvases.shape[-1]
    masks = resized(parts["train"].labels, canvas_size) if kind.level == "patch" else None
    return Images(parts, canvases, (height, width), mean, std, device, masks)


def _decoded(rows: pl.DataFrame, open_image: Open, configs: tuple[dict[str, Any], ...], title: str) -> list[Tensor]:
    """Return the images [n, channels, height, width] of all rows, preprocessed by each of the configurations."""
    found = []
    with progress_bar(title, len(rows), "images") as advance:
        for images in decode(rows, open_image, configs, workers=torch.get_num_threads(), ahead=len(rows)):
            found.append([image for image in images if image is not None])  # all are needed
            advance(1)
    return [torch.stack(images) for images in zip(*found, strict=True)]
