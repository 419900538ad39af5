"""Feature files: one Parquet file per (model, data) pair. Its metadata describes the content and its checksum.

Large embeddings are decoded in batches into a scratch file, which is then memory-mapped. Mapping the Parquet file itself is not
possible: pyarrow does not expose its pages, and only decoding verifies their checksums.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from itm.core.errors import StoreError, cause
from itm.core.keys import content_key
from itm.core.types import Facts, Features
from itm.store.files import scratch_file, write_atomically

ROW_GROUP = 8192
IN_MEMORY = 256 * 2**20  # bytes; larger embeddings are mapped from a scratch file
_ROWS = 1024  # rows per decoded batch; a whole row group of width 1024 needs 130 MiB instead of 52, without being faster
_METADATA = b"itm"
_PLAIN = ("id", "group", "target", "split")
_PLAIN_FACTS = ("model", "weights", "data", "data_hash", "kind", "rows", "images_per_second")
_COLUMNS = {*_PLAIN, "embedding"}


def write_features(
    features: Features,
    ids: Sequence[str] | pl.Series,
    groups: Sequence[str | None] | pl.Series,
    targets: np.ndarray,
    splits: Sequence[str] | pl.Series,
    columns: dict[str, np.ndarray],
    identity: Any,
) -> None:
    """Write a feature file atomically, and read its ids back to verify it.

    Parameters
    ----------
    columns
        "embedding" [n, d] and optionally "logits" [n, z], float32.
    identity
        Everything that the content key of the features depends on.

    Raises
    ------
    StoreError
        If the file cannot be written, or the ids read back differ.
    """
    described = {"key": features.key, "identity": identity, "facts": asdict(features.facts) if features.facts else None}
    described |= {name: getattr(features, name) for name in _PLAIN_FACTS}
    described |= {"images": features.images} if features.images else {}
    arrays = {
        "id": _texts(ids),
        "group": _texts(groups),
        "target": pa.array(targets) if targets.ndim == 1 else _matrix(targets),
        "split": _texts(splits),
    }
    for name, values in columns.items():
        arrays[name] = _matrix(values.astype(np.float32, copy=False))
    described["checksum"] = content_key(described)  # Parquet has checksums for pages but not for metadata
    table = pa.table(arrays).replace_schema_metadata({_METADATA: json.dumps(described, sort_keys=True)})
    plain = [f"{name}.list.element" for name in columns]  # embeddings do not repeat, so a dictionary would only cost time
    small = [name if name != "target" or targets.ndim == 1 else "target.list.element" for name in _PLAIN]

    def write(path: Path) -> None:
        pq.write_table(
            table,
            path,
            row_group_size=ROW_GROUP,
            use_dictionary=["group", "split"],
            write_statistics=["target"],
            compression={name: "none" if name in plain else "zstd" for name in (*small, *plain)},
            write_page_checksum=True,
        )
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            written = file.read(columns=["id"])["id"]
        if not written.equals(table["id"]):
            raise StoreError(f"{path}: {len(written)} of {len(ids)} rows came back after writing; check the disk.")

    write_atomically(features.path, write)


def _matrix(values: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).reshape(-1)), values.shape[1])


def _texts(values: Sequence[str | None] | pl.Series) -> pa.Array:
    return values.to_arrow().cast(pa.string()) if isinstance(values, pl.Series) else pa.array(values, pa.string())


def read_description(path: Path, stream: IO[bytes] | None = None) -> tuple[Features, Any]:
    """Return the record of a feature file and its identity. Only the footer is read.

    With `stream`, the footer is read from there, for instance from a remote file.

    Raises
    ------
    StoreError
        If the file is damaged or is not a feature file.
    """
    try:
        described = json.loads(pq.read_metadata(stream or path).metadata[_METADATA])
        if described.pop("checksum") != content_key(described):
            raise ValueError("the checksum of its metadata is wrong")
        plain = {name: described[name] for name in _PLAIN_FACTS}
        facts = None if described["facts"] is None else Facts(**described["facts"])
        record = Features(path=path, key=described["key"], facts=facts, cached=True, images=described.get("images"), **plain)
        return record, described["identity"]
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path}: is damaged or not a feature file ({cause(error)}).") from error


def check_pages(path: Path) -> None:
    """Verify the page checksums and the number of rows of a feature file by reading all of it."""
    with _open(path) as file:
        for column in file.schema_arrow.names:
            if sum(map(len, _batches(file, column))) != file.metadata.num_rows:
                raise ValueError(f"column {column} and the file differ in their number of rows")


def read_embeddings(path: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return embeddings [n, d] float32, encoded targets and ids of a feature file. All page checksums are verified.

    The embeddings are read-only. If they exceed `IN_MEMORY`, they are mapped from a scratch file in the folder of `path`.
    """
    with _open(path) as file:
        targets = np.concatenate([_targets(batch) for batch in _batches(file, "target")])
        ids = [name for batch in _batches(file, "id") for name in batch.cast(pa.string()).to_pylist()]
        if not file.metadata.num_rows == len(targets) == len(ids):
            raise ValueError("its columns differ in length")
        return _read_matrix(file, "embedding", path), targets, ids


def _targets(batch: pa.Array) -> np.ndarray:
    if not pa.types.is_fixed_size_list(batch.type):
        return np.asarray(batch.to_numpy())
    return np.asarray(batch.flatten().to_numpy()).reshape(len(batch), -1)


def read_groups(path: Path) -> np.ndarray:
    """Return the group of each row as a number from 0 on, [n]. A row without a group is a group of its own."""
    with _open(path) as file:
        names = [name for batch in _batches(file, "group") for name in batch.cast(pa.string()).to_pylist()]
        if len(names) != file.metadata.num_rows:
            raise ValueError("column group and the file differ in their number of rows")
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(row if name is None else name, len(numbers)) for row, name in enumerate(names)])


def read_logits(path: Path) -> np.ndarray | None:
    """Return the logits [n, z] float32 of the model's pre-trained classifier, or None. All page checksums are verified."""
    with _open(path) as file:
        return _read_matrix(file, "logits", path) if "logits" in file.schema_arrow.names else None


def new_matrix(rows: int, width: int, folder: Path, in_memory: int = IN_MEMORY) -> np.ndarray:
    """Return an array [rows, width] float32 to fill in.

    It is in memory, or if it has more than `in_memory` bytes, mapped from a scratch file in `folder`.
    """
    size = 4 * rows * width
    if size <= in_memory:
        return np.empty((rows, width), np.float32)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with scratch_file(folder) as scratch:
            if hasattr(os, "posix_fallocate"):  # a full disk under a mapped file would end the process
                os.posix_fallocate(scratch.fileno(), 0, size)
            else:
                scratch.truncate(size)
            return np.memmap(scratch, np.float32, "r+", shape=(rows, width))
    except OSError as error:
        raise _no_scratch_space(folder, f"{rows:,} embeddings need", size, error) from error


@contextmanager
def _open(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a feature file and translate errors into a `StoreError`."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            _check_columns(file.schema_arrow)
            yield file
    except (OSError, pa.ArrowException, KeyError, AttributeError, ValueError) as error:
        raise StoreError(f"{path}: is missing or damaged ({cause(error)}); remove it and run again.") from error


def _check_columns(schema: pa.Schema) -> None:
    # no checksum covers names: a damaged name of "logits" would look like a model without logits
    if {*schema.names} not in (_COLUMNS, _COLUMNS | {"logits"}):
        raise ValueError(f"its columns are {', '.join(schema.names)}")
    for name in {*schema.names} & {"embedding", "logits"}:
        kind = schema.field(name).type
        if not (pa.types.is_fixed_size_list(kind) and kind.value_type == pa.float32()):
            raise ValueError(f"column {name} holds {kind}")


def _read_matrix(file: pq.ParquetFile, column: str, path: Path) -> np.ndarray:
    """Return a column as an array [n, d], mapped from a scratch file if it is large."""
    shape = file.metadata.num_rows, file.schema_arrow.field(column).type.list_size
    values = (batch.flatten().to_numpy().astype(np.float32, copy=False) for batch in _batches(file, column))
    size = 4 * shape[0] * shape[1]
    return (_map_scratch_file(values, size, path) if size > IN_MEMORY else _read_into_memory(values)).reshape(shape)


def _batches(file: pq.ParquetFile, column: str) -> Iterator[pa.Array]:
    try:
        for group in range(file.num_row_groups):  # one call for all groups would keep all pages in memory
            for batch in file.iter_batches(_ROWS, [group], [column]):
                yield batch[column]
    except OSError as error:  # pyarrow's error for a wrong checksum; as an OSError it would look like a full disk
        raise ValueError(error) from error


def _read_into_memory(values: Iterator[np.ndarray]) -> np.ndarray:
    buffer = BytesIO()
    for batch in values:
        buffer.write(batch.data)
    return np.frombuffer(buffer.getvalue(), np.float32)


def _map_scratch_file(values: Iterator[np.ndarray], size: int, path: Path) -> np.ndarray:
    try:
        with scratch_file(path.parent) as scratch:  # in the store, because /tmp can be in memory
            for batch in values:
                scratch.write(batch.data)
            scratch.flush()
            os.fsync(scratch.fileno())  # some file systems report a full disk only here
            return np.memmap(scratch, np.float32, "r")
    except OSError as error:
        raise _no_scratch_space(path.parent, f"reading {path.name} needs", size, error) from error


def _no_scratch_space(folder: Path, what: str, size: int, error: OSError) -> StoreError:
    need = f"{what} {size / 2**20:.1f} MiB of disk space there"
    return StoreError(f"{folder}: {need} ({cause(error)}); free space, or allow writing there.")
