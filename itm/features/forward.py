"""The forward pass over a data set, in batches that are halved when memory runs out."""

import logging
import math
import os
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from torch.utils.data import DataLoader, Dataset

from itm.core.errors import DataError, ItmError, ModelError
from itm.core.progress import progress_bar
from itm.core.sections import ExtractParams
from itm.data.pixels import Open, open_verified
from itm.features.extractors import Extractor
from itm.zoo import facts as zoo_facts

log = logging.getLogger(__name__)

OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "ALLOC_FAILED")  # messages of torch's allocators and of cuDNN
CPU_BATCH, OTHER_BATCH = 16, 128
CPU_PIXELS = 16 * 160**2  # a larger batch does not fit into the caches of a CPU, and is slower
SERIAL_PIXELS = 60_000_000  # fewer pixels are decoded before worker processes would have started


class _Images(Dataset[tuple[torch.Tensor | None, str]]):
    """Reads, checks and transforms images. A problem is a value, because exceptions of worker processes lose their type."""

    def __init__(self, paths: list[str], ids: list[str], open_image: Open, config: dict[str, Any]) -> None:
        self.paths, self.ids, self.open_image = paths, ids, open_image
        self.transform = zoo_facts.create_transform(config)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> tuple[torch.Tensor | None, str]:
        try:
            return self.transform(open_verified(self.paths[row], self.ids[row], self.open_image)), ""
        except DataError as error:
            return None, str(error)


def _collate(items: list[tuple[torch.Tensor | None, str]]) -> tuple[torch.Tensor, str]:
    images = [image for image, _ in items if image is not None]
    problem = next((text for _, text in items if text), "")
    return (torch.empty(0) if problem else torch.stack(images)), problem


def _batches(
    rows: pl.DataFrame, open_image: Open, config: dict[str, Any], size: int, workers: int | Literal["auto"]
) -> Iterator[torch.Tensor]:
    images = _Images(rows["path"].to_list(), rows["id"].to_list(), open_image, config)
    workers = _auto_workers(rows) if workers == "auto" else workers
    # Other threads run here, so a plain fork could copy a locked lock. The fork server has no threads and imports torch once.
    context = torch.multiprocessing.get_context("forkserver") if workers else None
    if context:
        context.set_forkserver_preload([__name__])
    loader = DataLoader(images, size, num_workers=workers, collate_fn=_collate, multiprocessing_context=context)
    for batch, problem in loader:
        if problem:
            raise DataError(problem)
        yield batch


def _auto_workers(rows: pl.DataFrame) -> int:
    pixels = int((rows["width"] * rows["height"]).sum())
    return max(1, (os.cpu_count() or 1) // 2) if pixels > SERIAL_PIXELS else 0


def _auto_batch(target: torch.device, config: dict[str, Any]) -> int:
    if target.type != "cpu":
        return OTHER_BATCH
    return min(CPU_BATCH, max(1, CPU_PIXELS // int(math.prod(config["input_size"][1:]))))


def forward(
    extractor: Extractor, rows: pl.DataFrame, open_image: Open, target: torch.device, params: ExtractParams, title: str
) -> dict[str, np.ndarray]:
    """Return the outputs of `extractor` for all rows, each [n, width] in float32.

    Raises
    ------
    ModelError
        If the forward pass fails, memory runs out with one image, or an output is not finite.
    DataError
        If an image changed since it was ingested.
    """
    torch.backends.cudnn.allow_tf32 = params.precision != "fp32"  # otherwise a GPU rounds convolutions to ten bits
    extractor.module.to(device=target, memory_format=torch.channels_last)  # type: ignore[call-overload]
    config = extractor.preprocessing
    collected: dict[str, list[np.ndarray]] = {name: [] for name in extractor.outputs}
    limit = size = _auto_batch(target, config) if params.batch_size == "auto" else params.batch_size
    autocast = torch.autocast(target.type, dtype=torch.bfloat16, enabled=params.precision == "bf16")
    with torch.inference_mode(), autocast, progress_bar(title, len(rows), "images") as advance:
        for batch in _batches(rows, open_image, config, size, params.decode_workers):
            done = 0
            while done < len(batch):
                piece = batch[done : done + limit]
                try:
                    found = extractor(piece.to(target, memory_format=torch.channels_last))
                    values = {name: output.float().cpu().numpy() for name, output in found.items()}
                except ItmError:
                    raise
                except Exception as error:  # custom code can raise anything
                    limit = _smaller(len(piece), error, title)
                    continue
                for name, part in values.items():
                    collected[name].append(part)
                done += len(piece)
                advance(len(piece))
    columns = {name: np.concatenate(parts) for name, parts in collected.items()}
    for name, output in columns.items():
        _check_finite(name, output, rows, params, title)
    return columns


def _check_finite(name: str, output: np.ndarray, rows: pl.DataFrame, params: ExtractParams, title: str) -> None:
    bad = ~np.isfinite(output).all(axis=1)
    if bad.any():
        hint = "; try precision fp32" if params.precision != "fp32" else "; the checkpoint or its mean and std may be wrong"
        first = rows["path"][int(bad.argmax())]
        raise ModelError(f"{title}: {bad.sum()} of {len(bad)} rows of {name} are not finite, the first is {first}{hint}.")


def _smaller(size: int, error: Exception, title: str) -> int:
    """Return half the batch size if memory ran out at `size`. Raise a `ModelError` for one image and for other errors."""
    message = " ".join(str(error).split())
    if not isinstance(error, MemoryError | torch.OutOfMemoryError) and not any(words in message for words in OUT_OF_MEMORY):
        raise ModelError(f"{title}: the forward pass failed: {type(error).__name__}: {message[:300]}") from error
    if size == 1:
        raise ModelError(
            f"{title}: memory runs out with a single image; take a smaller input_size or another device."
        ) from error
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    log.warning("%s: memory ran out with %d images at once, continuing with %d", title, size, size // 2)
    return size // 2
