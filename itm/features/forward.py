"""The forward pass over a data set, in batches that are halved when memory runs out."""

import logging
import math
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
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
from itm.core.text import pluralize
from itm.features.allocations import peak_memory
from itm.features.columns import Columns
from itm.features.devices import THREADS, exact_convolutions, precision_on
from itm.features.extractors import ForwardPass
from itm.features.image_reader import ImageReader
from itm.features.patches import Rows
from itm.store.feature_file import IN_MEMORY

log = logging.getLogger(__name__)

CPU_BATCH, OTHER_BATCH = 16, 128
PROBE, LARGEST_BATCH = 8, 512  # images on a GPU: to measure what one needs, and at most
FREE = 0.5  # of the free memory of a GPU, for the batches of all models of a pass
CPU_PIXELS = 16 * 160**2  # a larger batch does not fit into the caches of a CPU, and is slower


def _auto_workers(target: torch.device) -> int:
    if target.type != "cpu":
        return THREADS  # also where workers share the cores: the others wait for this device
    return max(1, torch.get_num_threads() // 2)  # the forward pass needs the other cores


def _auto_batch(target: torch.device, config: dict[str, Any]) -> int:
    if target.type != "cpu":
        return OTHER_BATCH
    return min(CPU_BATCH, max(1, CPU_PIXELS // int(math.prod(config["input_size"][1:]))))


def _batch_that_fits(one: ForwardPass, target: torch.device) -> int:
    """Return how many images fit into the free memory of a GPU with room to spare, as a power of two.

    What a few images need is measured. If that fails, the first batch of images tells why.
    """
    images = torch.zeros(PROBE, *one.preprocessing["input_size"], device=target).to(memory_format=torch.channels_last)
    try:
        one(images)  # libraries take memory of their own the first time
        torch.cuda.synchronize(target)
        before = torch.cuda.memory_allocated(target)
        with peak_memory(target, ()) as peak:
            one(images)
            needed = max(1, (peak() - before) // PROBE)
    except Exception as error:  # custom code can raise anything
        log.debug("the memory of a forward pass is unknown: %s", error)
        return OTHER_BATCH
    torch.cuda.empty_cache()
    fits = int(FREE * torch.cuda.mem_get_info(target)[0] / needed)
    return min(LARGEST_BATCH, 1 << max(0, fits.bit_length() - 1))


def forward(
    passes: Sequence[ForwardPass], reader: ImageReader, rows: Rows, target: torch.device, params: ExtractParams, folder: Path
) -> tuple[dict[str, dict[str, np.ndarray] | Exception], float]:
    """Return the outputs or the error of each model by name, and the seconds since the first image was decoded.

    All models have the same preprocessing except mean and std, and each batch of images goes through all of them. Each output
    is [n, width] in float32 for the `rows` of the images, mapped from a file in `folder` if it is large. An error is a
    `ModelError` if the forward pass fails, memory runs out with one image, or an output is not finite.

    Raises
    ------
    DataError
        If an image changed since it was ingested, or cannot be decoded or resized.
    """
    precision = precision_on(target, params.precision)
    config, images_count = passes[0].preprocessing, len(reader.rows)
    if params.decode_workers == "auto":
        workers, fill_workers = _auto_workers(target), THREADS
    else:
        workers = fill_workers = params.decode_workers
    size = _auto_batch(target, config) if params.batch_size == "auto" else params.batch_size
    in_memory = IN_MEMORY // len(passes)
    running = [_Running(one, target, size, rows, folder, reader.name, in_memory) for one in passes]
    began: float | None = None
    with ExitStack() as stack:
        if target.type == "cuda":
            stack.enter_context(torch.cuda.device(target))  # where streams, events and pinned memory belong
        stack.enter_context(exact_convolutions(precision == "fp32"))
        stack.enter_context(torch.inference_mode())
        stack.enter_context(torch.autocast(target.type, dtype=torch.bfloat16, enabled=precision == "bf16"))
        if target.type == "cuda" and params.batch_size == "auto":
            size = max(one.choose_batch(target, len(running)) for one in running)
        images = reader.read(config, workers, 2 * size, while_decoding=target.type != "cpu", fill_workers=fill_workers)
        title = running[0].title if len(running) == 1 else f"{len(running)} models on {reader.name}"
        advance = stack.enter_context(progress_bar(title, images_count, "images"))
        for batch in _batches(stack.enter_context(closing(images)), size):
            began = began or time.perf_counter()
            for one in running:
                one.take(batch)
            if all(one.error for one in running):
                break
            advance(len(batch))
        for one in running:
            one.finish(rows.table, precision)
        seconds = time.perf_counter() - (began or 0.0)
    return {name: output for one in running for name, output in one.found.items()}, seconds


class _Running:
    """A forward pass over the images of a data set, until its first error."""

    def __init__(
        self, own: ForwardPass, target: torch.device, limit: int, rows: Rows, folder: Path, data: str, in_memory: int
    ) -> None:
        names = [extractor.model.name for extractor in own.extractors]
        others = f" and {pluralize(len(names) - 1, 'variant')}" if len(names) > 1 else ""
        self.title, self._data = f"{names[0]}{others} on {data}", data
        self.error: Exception | None = None
        self.found: dict[str, dict[str, np.ndarray] | Exception] = {}
        own.module.to(device=target, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._own, self._limit, self._normalise = own, limit, _normaliser(own.preprocessing, target)
        self._columns, self._done = {name: Columns(rows, folder, in_memory // len(names)) for name in names}, 0

    def choose_batch(self, target: torch.device, together: int) -> int:
        """Choose how many images this pass and `together - 1` others take at once from the free memory of a GPU."""
        self._limit = max(1, _batch_that_fits(self._own, target) // together)
        return self._limit

    def take(self, batch: list[torch.Tensor]) -> None:
        """Compute the outputs of the next images, in pieces that fit into memory."""
        before = self._done
        while (done := self._done - before) < len(batch) and not self.error:
            piece = batch[done : done + self._limit]
            try:
                outputs = self._own(self._normalise(piece))
                for columns, found in zip(self._columns.values(), outputs, strict=True):
                    columns.add(found, slice(self._done, self._done + len(piece)))
                self._done += len(piece)
                continue
            except ItmError as error:
                self.error = error
            except Exception as error:  # custom code can raise anything
                traceback.clear_frames(error.__traceback__)  # they hold what the pass has computed
                try:
                    self._limit = _smaller(len(piece), error, self.title)
                except ModelError as final:
                    self.error = final
            if torch.cuda.is_available():
                torch.cuda.empty_cache()  # after the except clause, which refers to the error

    def finish(self, rows: pl.DataFrame, precision: str) -> None:
        """Wait for the last outputs, and check all."""
        for name, columns in self._columns.items():
            try:
                if self.error:
                    traceback.clear_frames(self.error.__traceback__)  # they hold what the pass has computed
                    raise self.error
                outputs = columns.finished()
                for output_name, output in outputs.items():
                    _check_finite(output_name, output, rows, precision, f"{name} on {self._data}")
                self.found[name] = outputs
            except Exception as error:  # also of a device that fails late
                self.found[name] = error


def _batches(images: Iterator[torch.Tensor], size: int) -> Iterator[list[torch.Tensor]]:
    """Yield lists of at most `size` images."""
    while batch := list(islice(images, size)):
        yield batch


def _normaliser(config: dict[str, Any], target: torch.device) -> Callable[[list[torch.Tensor]], torch.Tensor]:
    """Return the function from bytes to model inputs on a device.

    It has the operations of timm's transform, and so the same bits. Bytes are a quarter of what would be copied otherwise.
    """
    mean, std = (torch.tensor(config[name]).view(1, -1, 1, 1).to(target) for name in ("mean", "std"))

    is_cuda = target.type == "cuda"

    def normalise(images: list[torch.Tensor]) -> torch.Tensor:
        batch = torch.empty((len(images), *images[0].shape), dtype=torch.uint8, pin_memory=is_cuda)
        there = torch.stack(images, out=batch).to(target, non_blocking=is_cuda)
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
    log.warning("%s: memory ran out with %d images at once, continuing with %d", title, size, size // 2)
    return size // 2
