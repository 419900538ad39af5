"""One forward pass of one model over one data set, kept under a key of everything that could change it."""

import logging
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl
import torch

from itm.core.errors import DataError, StoreError
from itm.core.keys import content_key
from itm.core.sections import ExtractParams
from itm.core.types import DataRef, Features, ModelRef, Resume, SplitName
from itm.data.index import read_index
from itm.data.pack import with_images_here
from itm.features.devices import device, leased
from itm.features.forward import forward
from itm.store.feature_file import check_pages, read_description, write_features
from itm.store.layout import Store
from itm.store.mirror import fetch, here, opened, publish
from itm.zoo import facts as zoo_facts
from itm.zoo import load

log = logging.getLogger(__name__)

EXTRACTOR = 1  # raise it when a change here changes embeddings
PACKAGES = ("pillow", "timm", "torch", "torchvision")
LASTING = ("model", "weights", "data", "splits")  # what "never" asks of features from another version


def extract(
    model: ModelRef,
    data: DataRef,
    splits: tuple[SplitName, ...],
    params: ExtractParams,
    store: Store,
    show_progress: bool = False,
) -> Features:
    """Return the feature file of `model` on the rows of `data` in `splits`, computing it where `params.resume` asks for it.

    A stored file is read through before it is taken, so that one whose bytes changed is computed again.

    Raises
    ------
    ModelError
        If the model cannot be built, runs out of memory with one image, or gives values that are not finite.
    DataError
        If an image changed since it was ingested, or no row is in `splits`.
    ParamsError
        If there is no such device.
    StoreError
        If the file cannot be written, or is not there and `params.resume` is "only-cache", or the index or the images are
        neither on this machine nor in the shared place of the store.
    """
    store = here(store)
    rows = read_index(data, store).filter((pl.col("status") == "ok") & pl.col("split").is_in(list(splits)))
    if rows.is_empty():
        raise DataError(f"{data.name} has no image in {' or '.join(splits)}; change score.splits or the data's splits.")
    target = device(params.device)
    own = identity(describe(model), data, splits, params, target)
    path = store.features(data.name, model.name, key := content_key(own))
    if found := stored(own, data.name, model.name, params.resume, store, check_pages):
        publish(store, found.path)  # it may be here alone
        return found
    if params.resume == "only-cache":
        raise StoreError(f"{model.name} on {data.name} has no stored features and resume is 'only-cache'; use 'only-missing'.")
    rows = with_images_here(rows, data, store)
    module = load.build(model)
    config = own["preprocessing"]
    with leased(target) as leased_target:
        started = time.perf_counter()
        columns = forward(module, config, rows, leased_target, params, f"{model.name} on {data.name}", show_progress)
        seconds = time.perf_counter() - started
    features = Features(
        path=path,
        key=key,
        model=model.name,
        weights=own["weights"],
        data=data.name,
        data_hash=data.hash,
        rows=len(rows),
        facts=zoo_facts.facts(model, module.cpu(), config),
        images_per_second=round(len(rows) / seconds, 1),
        cached=False,
    )
    write_features(features, rows["id"].to_list(), rows["label"].to_numpy(), rows["split"].to_list(), columns, own)
    publish(store, path)
    tell(features)
    return features


def tell(features: Features) -> None:
    """Log what was extracted, and how fast."""
    speed = features.images_per_second
    extra = {"step": "extract", "model": features.model, "data": features.data, "images_per_second": speed}
    log.info("%s on %s: %d images, %.0f images/s", features.model, features.data, features.rows, speed, extra=extra)


def describe(model: ModelRef) -> dict[str, Any]:
    """Return all of a model that decides its embeddings, in plain values: what it is, its weights, how it wants its images.

    Raises
    ------
    ModelError
        If it cannot be built, or its weights cannot be had.
    """
    return load.definition(model) | {
        "model": model.name,
        "weights": load.weights_hash(model),
        "preprocessing": zoo_facts.preprocessing_without_weights(model),
    }


def identity(
    described: dict[str, Any], data: DataRef, splits: tuple[SplitName, ...], params: ExtractParams, target: torch.device
) -> dict[str, Any]:
    """Return everything that could change the embeddings of a model, given as `describe` tells it, on a data set."""
    return described | {
        "extractor": EXTRACTOR,
        "precision": params.precision,
        "device": target.type,
        "pooling": "forward_head(pre_logits=True)",
        "data": data.hash,
        "splits": sorted(splits),
        "packages": _packages(),
    }


@cache
def _packages() -> dict[str, str]:
    return {name: version(name) for name in PACKAGES}


def stored(
    identity: dict[str, Any], data: str, model: str, resume: Resume, store: Store, check: Callable[[Path], None] | None = None
) -> Features | None:
    """Return the stored features of this identity; with "never", else the newest of another version with the same inputs.

    Only what a file says of itself is read, unless `check` reads more; one that is damaged is told of and passed over. What is
    in the shared place alone stays there if it is not checked: `itm.store.mirror.located` brings it.
    """
    if resume == "always":
        return None
    key = content_key(identity)
    path = store.features(data, model, key)
    versions = path.parent.glob(f"{path.name.removesuffix(f'-{key[:16]}.parquet')}-*.parquet") if resume == "never" else ()
    for candidate in [path, *sorted(versions, key=lambda version: version.stat().st_mtime, reverse=True)]:
        try:
            description = _description(candidate, store, check)
            if description is None:
                continue
            found, known = description
            if found.key == key or (resume == "never" and all(known.get(name) == identity[name] for name in LASTING)):
                if check:
                    check(candidate)
                return found
            if candidate == path:
                log.warning("%s holds other features than its name says. Computing it again.", path)
        except StoreError as error:
            log.warning("%s Computing it again.", error)
    return None


def _description(path: Path, store: Store, check: Callable[[Path], None] | None) -> tuple[Features, Any] | None:
    """Return what a feature file says of itself, read where it lies unless all of it is to be checked."""
    if path.exists() or (check and fetch(store, path, check)):
        return read_description(path)
    with opened(store, path) if not check else nullcontext() as stream:
        return read_description(path, stream) if stream else None
