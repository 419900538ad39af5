"""The index of a data set: a table with one row per image. The same images give the same bytes."""

import logging
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from itm.core.errors import ItmError, StoreError
from itm.core.keys import content_key
from itm.core.text import pluralize
from itm.core.types import DataRef
from itm.data.pack import INDEX
from itm.data.rows import Row
from itm.data.sources.parse import NamedSource, parse_source
from itm.kinds import get_kind
from itm.store.files import read_table, write_table
from itm.store.layout import Store
from itm.store.mirror import fetch_required

log = logging.getLogger(__name__)

SCHEMA: dict[str, type[pl.DataType]] = {
    "id": pl.String,
    "path": pl.String,
    "group": pl.String,
    "target": pl.String,
    "split": pl.String,
    "width": pl.Int64,
    "height": pl.Int64,
    "status": pl.String,
    "rejection": pl.String,
    "reason": pl.String,
}


def read_index(data: DataRef, store: Store | None = None) -> pl.DataFrame:
    """Read the index of a data set: all images that were checked. Usable images have the status `ok`.

    If this machine does not have the index as it was ingested, the copy in the shared place of `store` is fetched.

    Raises
    ------
    StoreError
        If the index is missing, damaged or of other images, and the shared place does not have it.
    """
    try:
        return _read(data.index, data)
    except StoreError:
        if store is None or store.shared is None:
            raise
        path = store.shared_data(data.hash) / INDEX
        return _read(fetch_required(store, path, lambda temporary: _check(temporary, data)), data)


def _read(path: Path, data: DataRef) -> pl.DataFrame:
    table = read_table(path)
    if table.schema != pl.Schema(SCHEMA) or table_hash(table) != data.hash:
        raise StoreError(f"{path}: is not the index of {data.name} as it was ingested; another run with this name replaced it.")
    return table


def _check(path: Path, data: DataRef) -> None:
    _read(path, data)


def table_hash(table: pl.DataFrame) -> str:
    """Return the hash of the usable images with their targets, splits and groups; paths do not count."""
    used = table.filter(status="ok")
    columns = ["id", "target", "split", *(["group"] if used["group"].is_not_null().any() else [])]
    return content_key(sorted(map(list, used.select(columns).fill_null("").iter_rows())))


def write_index(path: Path, rows: Sequence[Row], before: pl.DataFrame | None) -> pl.DataFrame:
    """Write the rows as a table and return it. A file with the same table is not written again."""
    columns = {name: [getattr(row, name) for row in rows] for name in SCHEMA if name != "status"}
    columns["status"] = ["ok" if row.ok else "rejected" for row in rows]
    table = pl.DataFrame({name: columns[name] for name in SCHEMA}, schema=SCHEMA)
    if before is None or not before.equals(table):
        write_table(path, table)
    return table


def previous_index(index: Path) -> pl.DataFrame | None:
    """Return the index of an earlier run, or None if it is missing, damaged or of another version."""
    if not index.exists():
        return None
    try:
        before = read_table(index)
    except StoreError as error:
        log.warning("writing the index again: %s", error)
        return None
    return before if before.schema == pl.Schema(SCHEMA) else None


def describe_index(source: NamedSource, index: Path, table: pl.DataFrame) -> DataRef:
    """Return the record of an index. Its targets are those of usable images, however many others the source lists."""
    used = table.filter(status="ok")
    rejected = table.filter(pl.col("status") != "ok")["rejection"].value_counts().sort("rejection")
    return DataRef(
        name=source.name,
        source=source.text,
        index=index,
        hash=table_hash(table),
        target=get_kind(source.source.kind).specify(used["target"]),
        images=len(used),
        groups=used.filter(pl.col("group") != "")["group"].n_unique(),
        rejected=dict(rejected.iter_rows()),
    )


def indexed(source: str, store: Store) -> DataRef | None:
    """Return a data set as it was ingested last, even if its files changed since, or None if there is no index."""
    found = parse_source(source)
    index = store.index(found.name)
    table = previous_index(index)
    if table is None:
        return None
    return describe_index(found, index, table)


def describe_changes(source: str, sampled: bool, store: Store) -> str:
    """Return how the files of a data set differ from its index, or nothing if they seem unchanged.

    Names and modification times are compared; no file is read. A file that was exchanged with its old time kept goes
    unnoticed, and one that was only touched counts as changed: the next refresh finds out whether its images differ. The
    index of a `sampled` data set knows only some files, so new files look like files that were not sampled.
    """
    try:
        found = parse_source(source)
        times = found.source.fingerprint()
        index = store.index(found.name)
        if times is None or not index.exists():
            return ""
        known = set(pl.read_parquet(index, columns=["path"])["path"])
        written = index.stat().st_mtime
    except (ItmError, OSError, pl.exceptions.PolarsError) as error:
        return f"its files cannot be listed: {error}"
    images = set(times) - {found.source.list_file}
    newer = sum(time > written for path, time in times.items() if path in known or path not in images)
    counts = {"new": 0 if sampled else len(images - known), "gone": len(known - images), "newer than its index": newer}
    parts = [f"{pluralize(count, 'file')} {what}" for what, count in counts.items() if count]
    return f"{', '.join(parts)}; the next refresh finds out whether its images changed" if parts else ""


def known_sizes(before: pl.DataFrame | None) -> dict[str, tuple[int, int]]:
    """Return the sizes of decoded images by id. Images that failed are decoded again: a newer Pillow may read them."""
    if before is None:
        return {}
    decoded = before.filter(pl.col("width").is_not_null())
    return {id_: (width, height) for id_, width, height in decoded.select("id", "width", "height").iter_rows()}
