"""The index of a data set as a table: the same images give the same bytes, wherever and whenever it is written."""

import logging
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from itm.core.errors import StoreError
from itm.core.keys import content_key
from itm.core.types import DataRef
from itm.data.pack import INDEX
from itm.data.rows import Row
from itm.store.files import read_table, write_table
from itm.store.layout import Store
from itm.store.mirror import need

log = logging.getLogger(__name__)

SCHEMA: dict[str, type[pl.DataType]] = {
    "id": pl.String,
    "path": pl.String,
    "label": pl.Int64,
    "class_name": pl.String,
    "split": pl.String,
    "width": pl.Int64,
    "height": pl.Int64,
    "status": pl.String,
    "kind": pl.String,
    "reason": pl.String,
}


def read_index(data: DataRef, store: Store | None = None) -> pl.DataFrame:
    """Read the index of a data set: all images looked at; those to use have the status `ok`.

    Where it is not on this machine as it was ingested, the one in the shared place of `store` is brought here.

    Raises
    ------
    StoreError
        If the index is missing or damaged, or holds other images by now, and the shared place has none.
    """
    try:
        return _read(data.index, data)
    except StoreError:
        if store is None or store.shared is None:
            raise
        path = store.exchanged(data.hash) / INDEX
        return _read(need(store, path, lambda temporary: _check(temporary, data)), data)


def _read(path: Path, data: DataRef) -> pl.DataFrame:
    table = read_table(path)
    if table.schema != pl.Schema(SCHEMA) or table_hash(table) != data.hash:
        raise StoreError(f"{path}: no longer holds {data.name} as it was ingested; another run of that name replaced it.")
    return table


def _check(path: Path, data: DataRef) -> None:
    _read(path, data)


def table_hash(table: pl.DataFrame) -> str:
    """Return the hash of what counts in an index: which images are used, in which class and split, wherever they lie."""
    used = table.filter(pl.col("status") == "ok").select("id", "class_name", "split")
    return content_key(sorted(map(list, used.iter_rows())))


def write_index(path: Path, rows: Sequence[Row], classes: Sequence[str], before: pl.DataFrame | None) -> pl.DataFrame:
    """Write the rows as a table, unless that is what lies there already, and return it."""
    labels = {name: label for label, name in enumerate(classes)}
    columns = {name: [getattr(row, name) for row in rows] for name in SCHEMA if name not in ("label", "status")}
    columns["label"] = [labels[row.class_name] for row in rows]
    columns["status"] = ["ok" if row.ok else "set aside" for row in rows]
    table = pl.DataFrame({name: columns[name] for name in SCHEMA}, schema=SCHEMA)
    if before is None or not before.equals(table):
        write_table(path, table)
    return table


def index_before(index: Path) -> pl.DataFrame | None:
    """Return the index as an earlier call left it; None where there is none, or one that is damaged or of another version."""
    if not index.exists():
        return None
    try:
        before = read_table(index)
    except StoreError as error:
        log.warning("writing the index again: %s", error)
        return None
    return before if before.schema == pl.Schema(SCHEMA) else None


def known_sizes(before: pl.DataFrame | None) -> dict[str, tuple[int, int]]:
    """Return the sizes of images that decoded; those that did not are tried again, since a newer Pillow may read them."""
    if before is None:
        return {}
    decoded = before.filter(pl.col("width").is_not_null())
    return {id_: (width, height) for id_, width, height in decoded.select("id", "width", "height").iter_rows()}
