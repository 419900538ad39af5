"""The forward pass over a data set, in batches that are halved when memory runs out."""

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from itm.core.errors import ItmError, ModelError, is_out_of_memory
from itm.core.progress import progress_bar
from itm.core.secrets import error_message
from itm.core.sections import ExtractParams
from itm.features.devices import THREADS
from itm.features.extractors import Extractor
from itm.features.image_reader import ImageReader
from itm.store.feature_file import new_matrix

log = logging.getLogger(__name__)

CPU_BATCH, OTHER_BATCH = 16, 128
CPU_PIXELS = 16 * 160**2  # a larger batch does not fit into the caches of a CPU, and is slower


def _auto_workers(target: torch.device) -> int:
    share = torch.get_num_threads()  # the cores of this process or thread
    return max(1, share // 2 if target.type == "cpu" else share)  # on a CPU the forward pass needs the others


def _auto_batch(target: torch.device, config: dict[str, Any]) -> int:
    if target.type != "cpu":
        return OTHER_BATCH
    return min(CPU_BATCH, max(1, CPU_PIXELS // int(math.prod(config["input_size"][1:]))))


def forward(
    extractor: Extractor, reader: ImageReader, target: torch.device, params: ExtractParams, folder: Path, title: str
) -> tuple[dict[str, np.ndarray], float]:
    """Return the outputs of `extractor` for all images, and the seconds since the first of them was decoded.

    Each output is [n, width] in float32, mapped from a file in `folder` if it is large.

    Raises
    ------
    ModelError
        If the forward pass fails, memory runs out with one image, or an output is not finite.
    DataError
        If an image changed since it was ingested, or cannot be decoded or resized.
    """
    precision = params.precision_on(target.type)
    torch.backends.cudnn.allow_tf32 = precision != "fp32"  # otherwise a GPU rounds convolutions to ten bits
    extractor.module.to(device=target, memory_format=torch.channels_last)  # type: ignore[call-overload]
    config = extractor.preprocessing
    normalise, columns = _normaliser(config, target), _Columns(len(reader.rows), folder)
    if params.decode_workers == "auto":
        workers, fill_workers = _auto_workers(target), THREADS
    else:
        workers = fill_workers = params.decode_workers
    limit = size = _auto_batch(target, config) if params.batch_size == "auto" else params.batch_size
    autocast = torch.autocast(target.type, dtype=torch.bfloat16, enabled=precision == "bf16")
    images = reader.read(config, workers, 2 * size, while_decoding=target.type != "cpu", fill_workers=fill_workers)
    began: float | None = None
    with ExitStack() as stack:
        if target.type == "cuda":
            stack.enter_context(torch.cuda.device(target))  # where streams, events and pinned memory belong
        stack.enter_context(torch.inference_mode())
        stack.enter_context(autocast)
        advance = stack.enter_context(progress_bar(title, len(reader.rows), "images"))
        for batch in _batches(stack.enter_context(closing(images)), size):
            began, done = began or time.perf_counter(), 0
            while done < len(batch):
                piece = batch[done : done + limit]
                try:
                    columns.add(extractor(normalise(torch.stack(piece))), len(piece))
                except ItmError:
                    raise
                except Exception as error:  # custom code can raise anything
                    limit = _smaller(len(piece), error, title)
                    continue
                done += len(piece)
                advance(len(piece))
        found = columns.finished()
        seconds = time.perf_counter() - (began or 0.0)
    for name, output in found.items():
        _check_finite(name, output, reader.rows, precision, title)
    return found, seconds


class _Columns:
    """The outputs of all images on the host. Those of a batch arrive while a GPU computes the next one."""

    def __init__(self, rows: int, folder: Path) -> None:
        self._rows, self._folder, self._count = rows, folder, 0
        self._columns: dict[str, np.ndarray] = {}
        self._pending: Callable[[], None] = lambda: None

    def add(self, outputs: dict[str, torch.Tensor], count: int) -> None:
        """Begin to copy the outputs of the next `count` images."""
        on_gpu = any(output.is_cuda for output in outputs.values())
        copies = {name: output.float().to("cpu", non_blocking=on_gpu) for name, output in outputs.items()}
        copied = torch.cuda.current_stream().record_event() if on_gpu else None
        self.finished()
        self._pending = partial(self._take, copies, copied, slice(self._count, self._count + count))
        self._count += count

    def finished(self) -> dict[str, np.ndarray]:
        """Return the outputs by name, each [n, width], after waiting for the last ones."""
        self._pending()
        self._pending = lambda: None
        return self._columns

    def _take(self, copies: dict[str, torch.Tensor], copied: torch.Event | None, rows: slice) -> None:
        if copied:
            copied.synchronize()
        for name, copy in copies.items():
            if name not in self._columns:
                self._columns[name] = new_matrix(self._rows, copy.shape[1], self._folder)
            self._columns[name][rows] = copy.numpy()


def _batches(images: Iterator[torch.Tensor], size: int) -> Iterator[list[torch.Tensor]]:
    """Yield lists of at most `size` images."""
    while batch := list(islice(images, size)):
        yield batch


def _normaliser(config: dict[str, Any], target: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the function from bytes to model inputs on a device.

    It has the operations of timm's transform, and so the same bits. Bytes are a quarter of what would be copied otherwise.
    """
    mean, std = (torch.tensor(config[name]).view(1, -1, 1, 1).to(target) for name in ("mean", "std"))

    def normalise(images: torch.Tensor) -> torch.Tensor:
        there = (images.pin_memory() if target.type == "cuda" else images).to(target, non_blocking=True)
        return there.to(torch.float32, memory_format=torch.channels_last).div_(255).sub_(mean).div_(std)

    return normalise


def _check_finite(name: str, output: np.ndarray, rows: pl.DataFrame, precision: str, title: str) -> None:
    bad = ~np.isfinite(output.sum(axis=1, dtype=np.float64))  # finite in float64, unless a value is not
    if bad.any():
        hint = "; try precision fp32" if precision != "fp32" else "; the checkpoint or its mean and std may be wrong"
        first = rows["path"][int(bad.argmax())]
        raise ModelError(f"{title}: {bad.sum()} of {len(bad)} rows of {name} are not finite, the first is {first}{hint}.")


def _smaller(size: int, error: Exception, title: str) -> int:
    """Return half the batch size if memory ran out at `size`. Raise a `ModelError` for one image and for other errors."""
    if not is_out_of_memory(error):
        raise ModelError(f"{title}: the forward pass failed: {error_message(error)[:300]}") from error
    if size == 1:
        raise ModelError(
            f"{title}: memory runs out with a single image; take a smaller input_size or another device."
        ) from error
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    log.warning("%s: memory ran out with %d images at once, continuing with %d", title, size, size // 2)
    return size // 2
