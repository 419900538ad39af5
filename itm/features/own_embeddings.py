"""Embeddings that a user has computed become a feature file, so everything after extraction treats them like others."""

import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import polars as pl

from itm.core.errors import DataError, StoreError, cause
from itm.core.types import DataRef, Features, Resume, SplitName
from itm.data.embedding_files import as_float32, check_table, read_array
from itm.data.index import read_usable
from itm.data.sources.embeddings import Embeddings
from itm.data.sources.parse import parse_source
from itm.features.extract import cached_features
from itm.features.identity import Identity
from itm.kinds import get_kind
from itm.store.feature_file import check_pages, write_features
from itm.store.files import check_space, read_facts
from itm.store.hash_cache import cached_hash
from itm.store.layout import Store
from itm.store.mirror import local_store, publish

IMPORT = 1  # raise it when a change here changes the feature files


def own_embeddings(source: str) -> Embeddings | None:
    """Return the source of a data set if it has embeddings and no images."""
    found = parse_source(source).source
    return found if isinstance(found, Embeddings) else None


def own_identity(model: str, data: DataRef, splits: tuple[SplitName, ...]) -> Identity:
    """Return the identity of the embeddings of these splits of a data set. The hash of their file stands for the weights.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    path = _file(model, data)
    try:
        weights = cached_hash(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({cause(error)}); check the file.") from error
    return Identity(
        model=model,
        architecture=None,
        factory=None,
        arguments={},
        input_size=None,
        weights=weights,
        preprocessing={},
        extractor=IMPORT,
        precision="fp32",
        device="any",
        data=data.hash,
        splits=tuple(sorted(splits)),
        packages={},
        pooling="computed by the user",
    )


def import_embeddings(model: str, data: DataRef, splits: tuple[SplitName, ...], resume: Resume, store: Store) -> Features:
    """Return the feature file of the embeddings that the user calls `model`, written if it is missing.

    Raises
    ------
    DataError
        If the file does not have one row of finite numbers per label.
    StoreError
        If the feature file cannot be written, or `resume` forbids it.
    """
    store, identity = local_store(store), own_identity(model, data, splits)
    if cached := cached_features(identity, data, resume, store, check_pages):
        publish(store, cached.path)
        return cached
    if resume == "only-cache":
        raise StoreError(f"{model} on {data.name} has no stored features and resume is 'only-cache'; use 'only-missing'.")
    began, path = time.perf_counter(), _file(model, data)
    rows = read_usable(data, store).filter(pl.col("split").is_in(list(splits))).sort("id")
    if rows.is_empty():
        raise DataError(f"{data.name} has no row in {' or '.join(splits)}; change score.splits or the data's splits.")
    values = read_array(path)
    check_table(values, int(read_facts(data.index)["listed"]), str(path))
    embeddings = as_float32(values, np.array(rows["id"].cast(pl.Int64)), str(path))
    own = store.features(data.name, model, identity.key)
    check_space(own, 2 * embeddings.nbytes)
    features = Features(
        path=own,
        key=identity.key,
        model=model,
        weights=identity.weights,
        data=data.name,
        data_hash=data.hash,
        kind=data.target.kind,
        rows=len(rows),
        facts=None,
        images_per_second=round(len(rows) / max(time.perf_counter() - began, 1e-3), 1),
        cached=False,
    )
    targets = get_kind(data.target.kind).encode(rows["target"].to_list(), data.target)
    write_features(features, rows["id"], rows["group"], targets, rows["split"], {"embedding": embeddings}, asdict(identity))
    publish(store, own)
    return features


def _file(model: str, data: DataRef) -> Path:
    source = own_embeddings(data.source)
    path = source.files().get(model) if source else None
    if path is None:
        raise DataError(f"{data.source}: the file of {model} is gone; add it again, or rank without it.")
    return path
