"""One forward pass of one model over one data set, kept under a key of everything that could change it."""

import logging
import os
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from itm.data import read_index
from itm.data.pixels import open_rgb
from itm.errors import DataError, ItmError, ModelError, ParamsError, StoreError
from itm.feature_file import read_description, write_features
from itm.keys import content_key, file_hash
from itm.params import ExtractParams
from itm.store import Store
from itm.types import DataRef, Features, ModelRef, Resume, SplitName
from itm.zoo import facts as zoo_facts
from itm.zoo import load

log = logging.getLogger(__name__)

EXTRACTOR = 1  # raise it when a change here changes embeddings
PACKAGES = ("pillow", "timm", "torch", "torchvision")
LASTING = ("model", "weights", "data", "splits")  # what "never" asks of features from another version
OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "ALLOC_FAILED")  # the words of torch's allocators and of cuDNN
CPU_BATCH, OTHER_BATCH = 16, 128  # on a CPU, 64 images of 224 pixels leave the caches and take half as long again
SERIAL_PIXELS = 60_000_000  # fewer pixels than this decode sooner than worker processes start


def extract(
    model: ModelRef,
    data: DataRef,
    splits: tuple[SplitName, ...],
    params: ExtractParams,
    store: Store,
    show_progress: bool = False,
) -> Features:
    """Return the feature file of `model` on the rows of `data` in `splits`, computing it where `params.resume` asks for it.

    Raises
    ------
    ModelError
        If the model cannot be built, runs out of memory with one image, or gives values that are not finite.
    DataError
        If an image changed since it was ingested, or no row is in `splits`.
    ParamsError
        If there is no such device.
    StoreError
        If the file cannot be written, or is not there and `params.resume` is "only-cache".
    """
    rows = read_index(data).filter((pl.col("status") == "ok") & pl.col("split").is_in(list(splits)))
    if rows.is_empty():
        raise DataError(f"{data.name} has no image in {' or '.join(splits)}; change score.splits or the data's splits.")
    config = zoo_facts.preprocessing_without_weights(model)
    target = device(params.device)
    identity = load.definition(model) | {
        "extractor": EXTRACTOR,
        "model": model.name,
        "weights": load.weights_hash(model),
        "preprocessing": config,
        "precision": params.precision,
        "device": target.type,
        "pooling": "forward_head(pre_logits=True)",
        "data": data.hash,
        "splits": sorted(splits),
        "packages": {name: version(name) for name in PACKAGES},
    }
    key = content_key(identity)
    path = store.features(data.name, model.name, key)
    if params.resume != "always" and (found := _stored(path, identity, params.resume)):
        return found
    if params.resume == "only-cache":
        raise StoreError(f"{model.name} on {data.name} has no stored features and resume is 'only-cache'; use 'only-missing'.")
    module = load.build(model)
    started = time.perf_counter()
    columns = _forward(module, config, rows, target, params, f"{model.name} on {data.name}", show_progress)
    seconds = time.perf_counter() - started
    features = Features(
        path=path,
        key=key,
        model=model.name,
        weights=identity["weights"],
        data=data.name,
        data_hash=data.hash,
        rows=len(rows),
        facts=zoo_facts.facts(model, module.cpu(), config),
        images_per_second=round(len(rows) / seconds, 1),
        cached=False,
    )
    write_features(features, rows["id"].to_list(), rows["label"].to_numpy(), rows["split"].to_list(), columns, identity)
    log.info("%s on %s: %d images, %.0f images/s", model.name, data.name, len(rows), features.images_per_second)
    return features


def device(name: str) -> torch.device:
    """Return the device that `name` stands for; "auto" is a GPU where there is one.

    Raises
    ------
    ParamsError
        If there is no such device here.
    """
    try:
        found = torch.device(name if name != "auto" else "cuda" if torch.cuda.is_available() else "cpu")
        torch.empty(0, device=found)
    except (AssertionError, RuntimeError) as error:
        told = str(error).partition("\n")[0][:200]
        raise ParamsError(f"extract.device is {name!r}, which cannot be used here ({told}); use 'auto' or 'cpu'.") from error
    return found


def _stored(path: Path, identity: dict[str, Any], resume: Resume) -> Features | None:
    """Return the stored features of this identity; with "never", else the newest of another version with the same inputs."""
    key = content_key(identity)
    versions = path.parent.glob(f"{path.name.removesuffix(f'-{key[:16]}.parquet')}-*.parquet") if resume == "never" else ()
    for candidate in [path, *sorted(versions, key=lambda version: version.stat().st_mtime, reverse=True)]:
        if not candidate.exists():
            continue
        try:
            found, known = read_description(candidate)
        except StoreError as error:
            log.warning("%s Computing it again.", error)
            continue
        if found.key == key or (resume == "never" and all(known.get(name) == identity[name] for name in LASTING)):
            return found
    return None


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


def _auto_batch(target: torch.device) -> int:
    return CPU_BATCH if target.type == "cpu" else OTHER_BATCH


def _forward(
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
    limit = size = _auto_batch(target) if params.batch_size == "auto" else params.batch_size
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
