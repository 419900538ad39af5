"""The layout of a feature file: one Parquet file a (model, data) pair, with all that is needed to trust it in its metadata.

Many embeddings are decoded a few rows at a time into a scratch file, which is then mapped, so that they take room on the disk
and not in memory. Mapping them where they lie would need no copy, but they lie there in pages of which pyarrow tells neither
place nor length, and its own decoding copies even from a mapped file. It is the decoding, too, that checks the checksums.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from itm.core.errors import StoreError
from itm.core.keys import content_key
from itm.core.types import Facts, Features
from itm.store.files import scratch_file, write_beside

ROW_GROUP = 8192
IN_MEMORY = 256 * 2**20  # bytes of embeddings; more of them are mapped from a scratch file
_ROWS = 1024  # decoded at a time; a whole row group of width 1024 would take 130 MiB instead of 52, and as long
_METADATA = b"itm"
_COLUMNS = {"id", "label", "split", "embedding"}


def write_features(
    features: Features, ids: list[str], labels: np.ndarray, splits: list[str], columns: dict[str, np.ndarray], identity: Any
) -> None:
    """Write `columns` ("embedding" [n, d] and possibly "logits" [n, z], float32) beside, check the file by id, and rename it.

    Raises
    ------
    StoreError
        If the file cannot be written, or does not hold what was put in when it is read back.
    """
    described = {"key": features.key, "identity": identity, "facts": asdict(features.facts)}
    plain_facts = ("model", "weights", "data", "data_hash", "rows", "images_per_second")
    described |= {name: getattr(features, name) for name in plain_facts}
    arrays = {"id": pa.array(ids), "label": pa.array(labels), "split": pa.array(splits)}
    for name, values in columns.items():
        flat = pa.array(np.ascontiguousarray(values, dtype=np.float32).reshape(-1))
        arrays[name] = pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
    described["checksum"] = content_key(described)  # Parquet has checksums of its pages, none of what its footer says
    table = pa.table(arrays).replace_schema_metadata({_METADATA: json.dumps(described, sort_keys=True)})
    plain = [f"{name}.list.element" for name in columns]  # numbers that never repeat: a dictionary of them only costs time

    def write(path: Path) -> None:
        pq.write_table(
            table,
            path,
            row_group_size=ROW_GROUP,
            use_dictionary=["split"],
            write_statistics=["label"],
            compression={name: "none" if name in plain else "zstd" for name in ("id", "label", "split", *plain)},
            write_page_checksum=True,
        )
        written = _read(path, "id")["id"].to_pylist()
        if written != ids:
            raise StoreError(f"{path}: {len(written)} of {len(ids)} rows came back after writing; check the disk.")

    write_beside(features.path, write)


def read_description(path: Path, stream: IO[bytes] | None = None) -> tuple[Features, Any]:
    """Return the record of a feature file and the identity it was keyed by, from its footer alone.

    The footer is read from `stream` where the file itself lies elsewhere than at `path`.

    Raises
    ------
    StoreError
        If the file is damaged or not a feature file.
    """
    try:
        described = json.loads(pq.read_metadata(stream or path).metadata[_METADATA])
        if described.pop("checksum") != content_key(described):
            raise ValueError("what it says of itself was changed")
        record = Features(
            path=path,
            key=described["key"],
            model=described["model"],
            weights=described["weights"],
            data=described["data"],
            data_hash=described["data_hash"],
            rows=described["rows"],
            facts=Facts(**described["facts"]),
            images_per_second=described["images_per_second"],
            cached=True,
        )
        return record, described["identity"]
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path}: is damaged or not a feature file ({error}).") from error


def check_pages(path: Path) -> None:
    """Read all of a feature file and let go of it again, for the checksums of its pages and the number of its rows.

    Raises
    ------
    StoreError
        If it is missing or damaged.
    """
    with _opened(path) as file:
        for column in file.schema_arrow.names:
            if sum(map(len, _parts(file, column))) != file.metadata.num_rows:
                raise ValueError(f"column {column} has not as many rows as the file")


def read_embeddings(path: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return embeddings [n, d] float32, labels [n] and ids of a feature file, every page checked against its checksum.

    The embeddings are read-only. More than `IN_MEMORY` bytes of them are mapped from a scratch file beside `path`.

    Raises
    ------
    StoreError
        If the file is missing or damaged, or there is no room for the scratch file.
    """
    with _opened(path) as file:
        labels = np.concatenate([part.to_numpy() for part in _parts(file, "label")])
        ids = [one for part in _parts(file, "id") for one in part.cast(pa.string()).to_pylist()]
        if not file.metadata.num_rows == len(labels) == len(ids):
            raise ValueError("its columns differ in length")
        return _table(file, "embedding", path), labels, ids


def read_logits(path: Path) -> np.ndarray | None:
    """Return the outputs [n, z] float32 of the model's own classifier, every page checked; nothing where it has none.

    Raises
    ------
    StoreError
        If the file is missing or damaged.
    """
    with _opened(path) as file:
        return _table(file, "logits", path) if "logits" in file.schema_arrow.names else None


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a feature file, and say of whatever is wrong with it what to do."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            _check_columns(file.schema_arrow)
            yield file
    except (OSError, pa.ArrowException, KeyError, AttributeError, ValueError) as error:
        raise StoreError(f"{path}: is missing or damaged ({error}); remove it and run again.") from error


def _check_columns(schema: pa.Schema) -> None:
    """Check what no checksum covers: a column with a changed name would count as one that the model does not have."""
    if {*schema.names} not in (_COLUMNS, _COLUMNS | {"logits"}):
        raise ValueError(f"its columns are {', '.join(schema.names)}")
    for name in {*schema.names} & {"embedding", "logits"}:
        kind = schema.field(name).type
        if not (pa.types.is_fixed_size_list(kind) and kind.value_type == pa.float32()):
            raise ValueError(f"column {name} holds {kind}")


def _table(file: pq.ParquetFile, column: str, path: Path) -> np.ndarray:
    """Return a column of rows of numbers [n, d], mapped from a scratch file where it is large."""
    shape = file.metadata.num_rows, file.schema_arrow.field(column).type.list_size
    values = (part.flatten().to_numpy().astype(np.float32, copy=False) for part in _parts(file, column))
    size = 4 * shape[0] * shape[1]
    return (_mapped(values, size, path) if size > IN_MEMORY else _gathered(values)).reshape(shape)


def _parts(file: pq.ParquetFile, column: str) -> Iterator[pa.Array]:
    try:
        for group in range(file.num_row_groups):  # one call for all of them holds the pages of every group it has passed
            for batch in file.iter_batches(_ROWS, [group], [column]):
                yield batch[column]
    except OSError as error:  # a wrong checksum, to pyarrow; where the parts are written it would look like a full disk
        raise ValueError(error) from error


def _gathered(values: Iterator[np.ndarray]) -> np.ndarray:
    whole = BytesIO()
    for part in values:
        whole.write(part.data)
    return np.frombuffer(whole.getvalue(), np.float32)


def _mapped(values: Iterator[np.ndarray], size: int, path: Path) -> np.ndarray:
    try:
        with scratch_file(path.parent) as scratch:  # in the store, since /tmp may be kept in memory
            for part in values:
                scratch.write(part.data)
            scratch.flush()
            os.fsync(scratch.fileno())  # some disks say only now that they are full, and would lose rows unseen
            return np.memmap(scratch, np.float32, "r")
    except OSError as error:
        raise StoreError(
            f"{path.parent}: reading {path.name} needs {size / 2**20:.1f} MiB of room there ({error.strerror or error}); "
            "free that much, or allow writing there."
        ) from error


def _read(path: Path, *columns: str) -> pa.Table:
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        return file.read(columns=list(columns))
