"""Predicted masks of a few images, to look at: what a linear classifier on the patches of a model makes of whole images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch
from torch.nn import functional

from itm.core.types import DataRef, Features, ModelRef
from itm.data.index import read_usable
from itm.data.masks import open_verified_mask
from itm.data.pack import with_images_here
from itm.data.pixels import open_verified
from itm.features.decode import decode
from itm.features.extractors import PatchExtractor
from itm.features.patches import class_numbers
from itm.kinds.mask_target import MaskTarget
from itm.store.feature_file import read_embeddings
from itm.store.layout import Store

RIDGE = 1e-2  # times the number of rows; features have variance 1


@dataclass(frozen=True)
class ExampleMasks:
    """An image [height, width, 3] with its mask [height, width] of class numbers, and the predicted mask by each model."""

    image: np.ndarray
    mask: np.ndarray
    predicted: dict[str, np.ndarray]


def example_masks(models: Sequence[tuple[ModelRef, Features]], data: DataRef, store: Store, count: int) -> list[ExampleMasks]:
    """Return masks of the first test images by id, or of other images if there are none in test, computed on the CPU.

    Raises
    ------
    ItmError
        If an image, a model or a feature file cannot be read.
    """
    usable = read_usable(data, store)
    rows = next(part for split in ("test", "val", "train") if not (part := usable.filter(split=split)).is_empty())
    images, open_image = with_images_here(rows.sort("id").head(count), data, store)
    names = {name: number for number, name in enumerate(data.target.names)}
    found = []
    for path, id_, target, mask in images.select("path", "id", "target", "mask").iter_rows():
        own = MaskTarget.read(target)
        numbers = class_numbers(open_verified_mask(mask, own, open_image), own.numbers(names))
        found.append(ExampleMasks(np.asarray(open_verified(path, id_, open_image)), numbers, {}))
    for model, features in models:
        maps = _maps(PatchExtractor(model), images, data, store)
        weight, bias = _classifier(features, len(names))
        outputs = torch.einsum("kc,nchw->nkhw", torch.from_numpy(weight), maps.double()) + torch.from_numpy(bias)[:, None, None]
        for one, output in zip(found, outputs, strict=True):
            enlarged = functional.interpolate(output[None], one.mask.shape, mode="bilinear", align_corners=False)
            one.predicted[model.name] = enlarged[0].argmax(dim=0).numpy()
    return found


def _maps(extractor: PatchExtractor, images: pl.DataFrame, data: DataRef, store: Store) -> torch.Tensor:
    """Return the feature maps [n, width, rows, columns] of images."""
    config, (_, open_image) = extractor.preprocessing, with_images_here(images, data, store)
    mean, std = (torch.tensor(config[name]).view(1, -1, 1, 1) for name in ("mean", "std"))
    decoded = [image for (image,) in decode(images, open_image, [config], 0, 1) if image is not None]
    with torch.inference_mode():
        maps: torch.Tensor = extractor.module((torch.stack(decoded).float() / 255 - mean) / std)
    return maps


def _classifier(features: Features, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return weights [classes, width] and biases [classes] of a ridge regression on the classes of stored patches."""
    embeddings, targets, _ = read_embeddings(features.path)
    x = embeddings.astype(np.float64)
    mean, deviation = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)
    x = (x - mean) / deviation
    y = np.eye(classes)[targets]
    share = y.mean(axis=0)
    gram = x.T @ x + RIDGE * len(x) * np.eye(x.shape[1])
    weight = (np.linalg.solve(gram, x.T @ (y - share)) / deviation[:, None]).T
    return weight, share - weight @ mean
