"""The forward pass over a data set, in batches that are halved when memory runs out."""

import logging
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import islice
from typing import Any

import numpy as np
import polars as pl
import torch

from itm.core.errors import ItmError, ModelError, is_out_of_memory
from itm.core.progress import progress_bar
from itm.core.secrets import error_message
from itm.core.sections import ExtractParams
from itm.data.pixels import Open
from itm.features.decode import decode
from itm.features.extractors import Extractor

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
    extractor: Extractor, rows: pl.DataFrame, open_image: Open, target: torch.device, params: ExtractParams, title: str
) -> dict[str, np.ndarray]:
    """Return the outputs of `extractor` for all rows, each [n, width] in float32.

    Raises
    ------
    ModelError
        If the forward pass fails, memory runs out with one image, or an output is not finite.
    DataError
        If an image changed since it was ingested, or cannot be decoded or resized.
    """
    torch.backends.cudnn.allow_tf32 = params.precision != "fp32"  # otherwise a GPU rounds convolutions to ten bits
    extractor.module.to(device=target, memory_format=torch.channels_last)  # type: ignore[call-overload]
    config = extractor.preprocessing
    normalise = _normaliser(config)
    collected: dict[str, list[np.ndarray]] = {name: [] for name in extractor.outputs}
    workers = _auto_workers(target) if params.decode_workers == "auto" else params.decode_workers
    limit = size = _auto_batch(target, config) if params.batch_size == "auto" else params.batch_size
    autocast = torch.autocast(target.type, dtype=torch.bfloat16, enabled=params.precision == "bf16")
    images = closing(decode(rows, open_image, (config,), workers, ahead=2 * size))
    with torch.inference_mode(), autocast, progress_bar(title, len(rows), "images") as advance, images as decoded:
        for batch in _batches(decoded, size):
            done = 0
            while done < len(batch):
                piece = batch[done : done + limit]
                try:
                    inputs = normalise(torch.stack(piece)).to(target, memory_format=torch.channels_last)
                    values = {name: output.float().cpu().numpy() for name, output in extractor(inputs).items()}
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


def _batches(images: Iterable[list[torch.Tensor]], size: int) -> Iterator[list[torch.Tensor]]:
    """Yield lists of at most `size` images."""
    single = (image for (image,) in images)
    while batch := list(islice(single, size)):
        yield batch


def _normaliser(config: dict[str, Any]) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the function from bytes to model inputs, with the same operations as timm's transform and so the same bits."""
    mean, std = (torch.tensor(config[name]).view(1, -1, 1, 1) for name in ("mean", "std"))
    return lambda images: images.float().div_(255).sub_(mean).div_(std)


def _check_finite(name: str, output: np.ndarray, rows: pl.DataFrame, params: ExtractParams, title: str) -> None:
    bad = ~np.isfinite(output).all(axis=1)
    if bad.any():
        hint = "; try precision fp32" if params.precision != "fp32" else "; the checkpoint or its mean and std may be wrong"
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
