"""Decode images into the bytes that a model sees, in threads.

Threads need no shared memory, no file descriptors and no second import of torch, and none of them can be killed alone. Decoders
and resizing release the lock of the interpreter.
"""

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import polars as pl
import torch
from PIL import Image

from itm.core.errors import DataError, cause
from itm.core.parallel import map_ahead
from itm.data.pixels import Open, open_verified
from itm.zoo import facts as zoo_facts

Tensor = torch.Tensor


def decode(
    rows: pl.DataFrame,
    open_image: Open,
    configs: Sequence[dict[str, Any]],
    workers: int,
    ahead: int,
    needed: int | None = None,
) -> Generator[list[Tensor | None], None, None]:
    """Yield the images of all rows in order, each as bytes [channels, height, width] for each of the preprocessing `configs`.

    At most `ahead` images wait to be taken. Without `workers`, the calling thread decodes. Only the first `needed` configs must
    be possible, by default all. Where one of the others is not, None stands for the image.

    Raises
    ------
    DataError
        If an image changed since it was ingested, or cannot be decoded or resized. The message names the image.
    """
    one = partial(_decode, open_image=open_image, configs=[*map(_Geometry, configs)], needed=needed or len(configs))
    images = rows.select("path", "id").iter_rows()
    if not workers:
        for path, id_ in images:
            yield one(path, id_)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    try:
        yield from map_ahead(pool, lambda image: one(*image), images, max(ahead, workers))
    finally:
        pool.shutdown(cancel_futures=True)


def _decode(path: str, id_: str, open_image: Open, configs: "Sequence[_Geometry]", needed: int) -> list[Tensor | None]:
    image = open_verified(path, id_, open_image)
    found: list[Tensor | None] = []
    for number, config in enumerate(configs):
        try:
            found.append(config.apply(image))
        except Exception as error:  # Pillow and torch raise many types, some of them without a message
            if number >= needed:
                found.append(None)
                continue
            width, height = image.size
            raise DataError(
                f"{path}: an image of {width} x {height} pixels cannot be resized for the model ({cause(error)}); "
                "crop or remove it and ingest again, or free memory."
            ) from error
    return found


class _Geometry:
    """Resizes and crops images for a model."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._side = int(max(config["input_size"][-2:]) / config["crop_pct"])  # the shorter one, before cropping
        self._transform = zoo_facts.create_transform(config | {"normalize": False})

    def apply(self, image: Image.Image) -> Tensor:
        width, height = image.size
        pixels = self._side**2 * max(width, height) // min(width, height)
        if Image.MAX_IMAGE_PIXELS is not None and pixels > Image.MAX_IMAGE_PIXELS:
            raise ValueError(f"it would have {pixels:,} pixels; the limit is {Image.MAX_IMAGE_PIXELS:,}")
        return self._transform(image)
