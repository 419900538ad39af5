"""Embeddings of one model on one data set, computed once and stored under the key of their identity."""

import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import polars as pl
import torch

from itm.core.errors import DataError, StoreError
from itm.core.sections import ExtractParams
from itm.core.types import DataRef, Facts, Features, ModelRef, Resume, SplitName
from itm.data.index import read_usable
from itm.data.pack import with_images_here
from itm.data.pixels import Open
from itm.data.subset import take
from itm.features.devices import device, leased
from itm.features.extractors import Extractor, extractor_for, forward_passes
from itm.features.forward import forward
from itm.features.identity import Identity
from itm.features.image_reader import ImageReader
from itm.features.known_rows import KnownRows, write_part
from itm.features.model_facts import stored_facts
from itm.features.patches import Rows, patch_rows
from itm.kinds import get_kind
from itm.store.feature_file import check_pages, read_description, write_features
from itm.store.files import check_space, exists
from itm.store.layout import Store
from itm.store.mirror import fetch, local_store, open_shared, publish

log = logging.getLogger(__name__)


def extract(model: ModelRef, data: DataRef, splits: tuple[SplitName, ...], params: ExtractParams, store: Store) -> Features:
    """Return the feature file of `model` on the rows of `data` in `splits`. See `extract_together`.

    Raises
    ------
    ItmError
        If there is none. The message says why.
    """
    (found,) = extract_together([model], data, splits, params, store)
    if isinstance(found, Exception):
        raise found
    return found


def extract_together(
    models: Sequence[ModelRef],
    data: DataRef,
    splits: tuple[SplitName, ...],
    params: ExtractParams,
    store: Store,
    run_configs: Sequence[dict[str, Any]] = (),
) -> list[Features | Exception]:
    """Return the feature file of each model on the rows of `data` in `splits`, or the error of a model.

    If `data` has a subset, only its rows count. `params.resume` says when a file is computed. All models see the same images,
    so they are read once. All pages of a stored file are checked first. A damaged file is computed again. Images that have to
    be decoded are decoded for all models of the run: `run_configs` has the preprocessing of each.

    Raises
    ------
    DataError
        If no row is in `splits`, or an image cannot be read.
    StoreError
        If the files would not fit on the disk.
    """
    store = local_store(store)
    usable = read_usable(data, store).filter(pl.col("split").is_in(list(splits)))
    if usable.is_empty():
        raise DataError(f"{data.name} has no image in {' or '.join(splits)}; change score.splits or the data's splits.")
    rows = take(usable, data, data.subset) if data.subset else usable
    target = device(params.device)
    found: dict[str, Features | Exception] = {}
    missing: dict[str, tuple[Extractor, Identity]] = {}
    for model in models:
        try:
            extractor = extractor_for(model, data)
            identity = extractor.identity(data, splits, params, target)
            if cached := cached_features(identity, data, params.resume, store, check_pages):
                publish(store, cached.path)  # an earlier run without a shared place may have written it
                found[model.name] = cached
            elif whole := _whole(identity, data, params.resume, store):
                path = store.features(data.name, model.name, identity.key)
                found[model.name] = write_part(whole, rows, data, identity, path)
                publish(store, path)
            elif params.resume == "only-cache":
                reason = "has no stored features and resume is 'only-cache'; use 'only-missing'"
                raise StoreError(f"{model.name} on {data.name} {reason}.")
            else:
                missing[model.name] = extractor, identity
        except Exception as error:  # custom code can raise anything
            found[model.name] = error
    known = {name: own for name, (_, identity) in missing.items() if (own := _known(identity, data, store))}
    partly, wholly = ({name: missing[name] for name in missing if (name in known) == is_known} for is_known in (True, False))
    if partly:
        rows_known = KnownRows.of(rows, usable, data)
        found |= _computed(partly, rows_known, known, data, target, params, store, run_configs)
    if wholly:
        found |= _computed(wholly, KnownRows.none(rows), {}, data, target, params, store, run_configs)
    return [found[model.name] for model in models]


def _whole(identity: Identity, data: DataRef, resume: Resume, store: Store) -> Features | None:
    """Return the features of all images, of which those of a subset are a part, or None if they are not stored."""
    return cached_features(replace(identity, subset=None), data, resume, store, check_pages) if data.subset else None


def _known(identity: Identity, data: DataRef, store: Store) -> Path | None:
    """Return the feature file of the subset of `data` whose embeddings may be stored, or None if it is missing."""
    if data.known is None:
        return None
    features = cached_features(replace(identity, subset=data.known), data, "only-missing", store, check_pages)
    return features.path if features else None


def _computed(
    missing: dict[str, tuple[Extractor, Identity]],
    known_rows: KnownRows,
    known: dict[str, Path],
    data: DataRef,
    target: torch.device,
    params: ExtractParams,
    store: Store,
    run_configs: Sequence[dict[str, Any]],
) -> dict[str, Features | Exception]:
    found: dict[str, Features | Exception] = {}
    facts: dict[str, Facts] = {}
    for name, (extractor, _) in missing.items():
        try:
            facts[name] = stored_facts(extractor, store)
        except Exception as error:  # custom code can raise anything
            found[name] = error
    # Models are built before images are read and a device is taken.
    passes, errors = forward_passes(missing[name][0] for name in facts)
    found |= errors
    if not passes:
        return found
    images, open_image = with_images_here(known_rows.missing, data, store)
    computed = _rows(images, data, open_image)
    rows = _rows(known_rows.rows, data, open_image) if known else computed
    columns = sum(facts[one.model.name].width + _classes(one.module) for own in passes for one in own.extractors)
    size = 2 * 4 * len(rows) * columns  # large ones are written twice
    paths = {name: store.features(data.name, name, identity.key) for name, (_, identity) in missing.items()}
    path = next(iter(paths.values()))
    check_space(path, size)
    folder, limit = None if params.decoded == "off" else store.decoded, params.decoded
    reader = ImageReader(data.name, images, open_image, folder, limit if isinstance(limit, int) else None, size, run_configs)
    with leased(target) as leased_target:
        try:
            outputs, seconds = forward(passes, reader, computed, leased_target, params, path.parent)
        finally:
            with suppress(RuntimeError):  # of a device that an error left unusable
                for own in passes:
                    own.module.cpu()
    ids, groups, splits_of_rows = (rows.table[name] for name in ("id", "group", "split"))
    for name, output in outputs.items():
        if isinstance(output, Exception):
            found[name] = output
            continue
        identity = missing[name][1]
        features = Features(
            path=paths[name],
            key=identity.key,
            model=name,
            weights=identity.weights,
            data=data.name,
            data_hash=data.hash,
            kind=data.target.kind,
            rows=len(rows),
            facts=facts[name],
            # known images included: `seconds` is its inverse
            images_per_second=round(len(known_rows.rows) * len(outputs) / seconds, 1),
            cached=False,
            images=None if rows.chosen is None else len(images),
        )
        try:
            if name in known:
                output = known_rows.complete(output, known[name])
            write_features(features, ids, groups, rows.targets, splits_of_rows, output, asdict(identity))
            publish(store, features.path)
            found[name] = features
        except StoreError as error:
            found[name] = error
    return found


def _rows(images: pl.DataFrame, data: DataRef, open_image: Open) -> Rows:
    """Return the rows of the feature files of these images."""
    kind = get_kind(data.target.kind)
    if kind.level == "patch":
        return patch_rows(images, data.target, open_image, torch.get_num_threads())
    return Rows(images, kind.encode(images["target"].to_list(), data.target))


def _classes(module: torch.nn.Module) -> int:
    classes = getattr(module, "num_classes", 0)
    return classes if isinstance(classes, int) else 0


def log_extracted(features: Features) -> None:
    """Log what was extracted, and how fast."""
    speed = features.images_per_second
    extra = {"step": "extract", "model": features.model, "data": features.data, "images_per_second": speed}
    images = features.images or features.rows
    log.info("%s on %s: %d images, %.0f images/s", features.model, features.data, images, speed, extra=extra)


def cached_features(
    identity: Identity, data: DataRef, resume: Resume, store: Store, check: Callable[[Path], None] | None = None
) -> Features | None:
    """Return the stored features of an identity, or None where there are none.

    Only the footer of a file is read, unless `check` reads more. A damaged file is logged and counts as missing. A file that
    only the shared place has stays there, unless it is checked: `itm.store.mirror.with_local_file` brings it.
    """
    if resume == "always":
        return None
    own = store.features(data.name, identity.model, identity.key)
    # Machines that share files find them by the name of the data set only.
    same = store.same_features(data.name, identity.model, identity.key) if store.shared is None and not exists(own) else []
    for path in (own, *same):
        try:
            if (features := _description(path, store, check)) is None or (path != own and features.kind != data.target.kind):
                continue
            if features.key == identity.key:
                if check:
                    check(path)
                return replace(features, data=data.name)
            log.warning("%s holds other features than its name says. Computing it again.", path)
        except StoreError as error:
            log.warning("%s Computing it again.", error)
    return None


def _description(path: Path, store: Store, check: Callable[[Path], None] | None) -> Features | None:
    if exists(path) or (check and fetch(store, path, check)):
        return read_description(path)[0]
    with open_shared(store, path) if not check else nullcontext() as stream:
        return read_description(path, stream)[0] if stream else None
