"""The layout of a feature file: one Parquet file a (model, data) pair, with all that is needed to trust it in its metadata."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from itm.errors import StoreError
from itm.keys import content_key
from itm.store import write_beside
from itm.types import Facts, Features

ROW_GROUP = 8192
_METADATA = b"itm"


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


def read_description(path: Path) -> tuple[Features, Any]:
    """Return the record of a feature file and the identity it was keyed by, from its footer alone.

    Raises
    ------
    StoreError
        If the file is damaged or not a feature file.
    """
    try:
        described = json.loads(pq.read_metadata(path).metadata[_METADATA])
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


def read_embeddings(path: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return embeddings [n, d] float32, labels [n] and ids of a feature file, every page checked against its checksum.

    Raises
    ------
    StoreError
        If the file is missing or damaged.
    """
    try:
        table = _read(path, "id", "label", "embedding")
        column = table["embedding"].combine_chunks()
        embeddings = column.flatten().to_numpy().reshape(len(table), column.type.list_size)
        return embeddings, table["label"].to_numpy(), table["id"].cast(pa.string()).to_pylist()
    except (OSError, pa.ArrowException, KeyError, AttributeError, ValueError) as error:
        raise StoreError(f"{path}: is missing or damaged ({error}); remove it and run again.") from error


def _read(path: Path, *columns: str) -> pa.Table:
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        return file.read(columns=list(columns))
