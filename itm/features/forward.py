"""The forward pass: images read, transformed and put through a model in batches that shrink when memory runs out."""

import logging
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from itm.core.errors import DataError, ItmError, ModelError
from itm.core.keys import file_hash
from itm.core.sections import ExtractParams
from itm.data.pixels import open_rgb
from itm.zoo import facts as zoo_facts

log = logging.getLogger(__name__)

OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "ALLOC_FAILED")  # the words of torch's allocators and of cuDNN
CPU_BATCH, OTHER_BATCH = 16, 128
CPU_PIXELS = 16 * 160**2  # on a CPU a batch of more leaves the caches: it takes longer, and more memory
SERIAL_PIXELS = 60_000_000  # fewer pixels than this decode sooner than worker processes start


class _Images(Dataset[tuple[torch.Tensor | None, str]]):
    """Images read, checked against the index and transformed; a problem is a value, so that it crosses processes whole."""

    def __init__(self, paths: list[str], ids: list[str], config: dict[str, Any]) -> None:
        self.paths, self.ids, self.config = paths, ids, config
        self.transform = zoo_facts.transform(config)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> tuple[torch.Tensor | None, str]:
        path = Path(self.paths[row])
        try:
            if file_hash(path) != self.ids[row]:
                return None, f"{path} changed after it was ingested; ingest again."
            return self.transform(open_rgb(path)), ""
        except OSError as error:
            return None, f"{path} can no longer be read ({error}); ingest again."
        except DataError as error:
            return None, str(error)


def _collate(items: list[tuple[torch.Tensor | None, str]]) -> tuple[torch.Tensor, str]:
    images = [image for image, _ in items if image is not None]
    problem = next((text for _, text in items if text), "")
    return (torch.empty(0) if problem else torch.stack(images)), problem


def _batches(rows: pl.DataFrame, config: dict[str, Any], size: int, workers: int | Literal["auto"]) -> Iterator[torch.Tensor]:
    images = _Images(rows["path"].to_list(), rows["id"].to_list(), config)
    workers = _auto_workers(rows) if workers == "auto" else workers
    # Threads run beside us, so a plain fork could copy a locked lock; the fork server has no threads and imports torch once.
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
    module: torch.nn.Module,
    config: dict[str, Any],
    rows: pl.DataFrame,
    target: torch.device,
    params: ExtractParams,
    title: str,
    show_progress: bool,
) -> dict[str, np.ndarray]:
    """Return "embedding" [n, d] and, where the model has a head, "logits" [n, z] of all rows, in float32."""
    torch.backends.cudnn.allow_tf32 = params.precision != "fp32"  # else a GPU rounds convolutions to ten bits unasked
    module = module.to(device=target, memory_format=torch.channels_last)  # type: ignore[call-overload]
    has_head = bool(getattr(module, "num_classes", 0))
    collected: dict[str, list[np.ndarray]] = {name: [] for name in ("embedding", "logits")[: 1 + has_head]}
    limit = size = _auto_batch(target, config) if params.batch_size == "auto" else params.batch_size
    autocast = torch.autocast(target.type, dtype=torch.bfloat16, enabled=params.precision == "bf16")
    with (
        torch.inference_mode(),
        autocast,
        tqdm(total=len(rows), desc=title, unit="img", disable=None if show_progress else True) as bar,
    ):
        for batch in _batches(rows, config, size, params.decode_workers):
            done = 0
            while done < len(batch):
                piece = batch[done : done + limit]
                try:
                    found = _embed(module, piece.to(target, memory_format=torch.channels_last), has_head)
                except ItmError:
                    raise
                except Exception as error:  # the code of others, and any of it
                    limit = _smaller(len(piece), error, title)
                    continue
                for name, values in found.items():
                    collected[name].append(values)
                done += len(piece)
                bar.update(len(piece))
    columns = {name: np.concatenate(parts) for name, parts in collected.items()}
    for name, values in columns.items():
        bad = ~np.isfinite(values).all(axis=1)
        if bad.any():
            hint = "; try precision fp32" if params.precision != "fp32" else "; the checkpoint or its mean and std may be wrong"
            first = rows["path"][int(bad.argmax())]
            raise ModelError(f"{title}: {bad.sum()} of {len(bad)} rows of {name} are not finite, the first is {first}{hint}.")
    return columns


def _embed(module: torch.nn.Module, images: torch.Tensor, has_head: bool) -> dict[str, np.ndarray]:
    features = module.forward_features(images)  # type: ignore[operator]
    found = {"embedding": module.forward_head(features, pre_logits=True)}  # type: ignore[operator]
    if found["embedding"].ndim != 2:
        shape = tuple(found["embedding"].shape)
        raise ModelError(f"embeddings have shape {shape}; one row an image is needed, so set global_pool.")
    if has_head:
        found["logits"] = module.forward_head(features)  # type: ignore[operator]
    return {name: values.float().cpu().numpy() for name, values in found.items()}


def _smaller(size: int, error: Exception, title: str) -> int:
    """Return half the batch size if memory ran out at `size`.

    Raises
    ------
    ModelError
        If it ran out with one image, or if the error says something else.
    """
    told = " ".join(str(error).split())
    if not isinstance(error, MemoryError | torch.OutOfMemoryError) and not any(words in told for words in OUT_OF_MEMORY):
        raise ModelError(f"{title}: the forward pass failed: {type(error).__name__}: {told[:300]}") from error
    if size == 1:
        raise ModelError(
            f"{title}: memory runs out with a single image; take a smaller input_size or another device."
        ) from error
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    log.warning("%s: memory ran out with %d images at once, going on with %d", title, size, size // 2)
    return size // 2
