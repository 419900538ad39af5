"""The index of a data set: a table with one row per image. The same images give the same bytes."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import polars as pl

from itm.core.errors import ItmError, StoreError, cause
from itm.core.keys import list_key
from itm.core.text import pluralize
from itm.core.types import DataRef
from itm.data.pack import INDEX
from itm.data.rows import Listing, Row
from itm.data.sources.base import Source
from itm.data.sources.parse import NamedSource, parse_source
from itm.kinds import get_kind
from itm.kinds.segmentation import Segmentation
from itm.store.files import read_facts, read_table, write_table
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
MASK: dict[str, type[pl.DataType]] = {"mask": pl.String}  # of images with masks, the column in addition
SCHEMAS = pl.Schema(SCHEMA), pl.Schema(SCHEMA | MASK)
LEGEND = "legend"  # the fact with the key of what the values of masks mean
CONTAINERS = "containers"  # the fact with the files that hold many images each
USED = ("id", "path", "group", "target", "split")  # columns of usable images
Read = Callable[[Path, DataRef], pl.DataFrame]


def read_index(data: DataRef, store: Store | None = None) -> pl.DataFrame:
    """Read the index of a data set: all images that were checked. Usable images have the status `ok`.

    If this machine does not have the index as it was ingested, the copy in the shared place of `store` is fetched.

    Raises
    ------
    StoreError
        If the index is missing, damaged or of other images, and the shared place does not have it.
    """
    return _here_or_shared(_read, data, store)


def read_usable(data: DataRef, store: Store | None = None) -> pl.DataFrame:
    """Read the columns `USED` of the usable images, like `read_index` but with half of the memory.

    The table is scanned lazily. The hash of the data covers all of these columns but the paths; what is read from a path is
    compared with the id.

    Raises
    ------
    StoreError
        If the index is missing, damaged or of other images, and the shared place does not have it.
    """
    return _here_or_shared(_read_usable, data, store)


def _here_or_shared(read: Read, data: DataRef, store: Store | None) -> pl.DataFrame:
    try:
        return read(data.index, data)
    except StoreError:
        if store is None or store.shared is None:
            raise
        path = store.shared_data(data.hash) / INDEX
        return read(fetch_required(store, path, lambda temporary: _check(temporary, data)), data)


def _read(path: Path, data: DataRef) -> pl.DataFrame:
    table = read_table(path)
    if table.schema not in SCHEMAS or table_hash(table) != data.hash:
        raise _other_data(path, data)
    return table


def _read_usable(path: Path, data: DataRef) -> pl.DataFrame:
    try:
        scan = pl.scan_parquet(path, glob=False)
        schema = scan.collect_schema()
        columns = [*USED, *(name for name in MASK if name in schema)]
        used = scan.filter(pl.col("status") == "ok").select(columns).collect() if schema in SCHEMAS else None
    except (OSError, pl.exceptions.PolarsError) as error:
        raise StoreError(f"{path}: is missing, damaged or cannot be read ({cause(error)}); run again.") from error
    if used is None or _hash(used) != data.hash:
        raise _other_data(path, data)
    return used


def _other_data(path: Path, data: DataRef) -> StoreError:
    return StoreError(f"{path}: is not the index of {data.name} as it was ingested; another run with this name replaced it.")


def _check(path: Path, data: DataRef) -> None:
    _read(path, data)


def table_hash(table: pl.DataFrame) -> str:
    """Return the hash of the usable images with their targets, splits and groups; paths do not count."""
    return _hash(table.filter(status="ok"))


def _hash(used: pl.DataFrame) -> str:
    columns = ["id", "target", "split", *(["group"] if used["group"].is_not_null().any() else [])]
    return list_key(used.select(columns).fill_null("").sort(columns).iter_rows())  # JSON has tuples as lists


def write_index(path: Path, rows: Sequence[Row], before: pl.DataFrame | None, facts: Mapping[str, str]) -> pl.DataFrame:
    """Write the rows as a table and return it. A file with the same table and facts is not written again."""
    schema = SCHEMA | MASK if LEGEND in facts else SCHEMA
    columns = {name: [getattr(row, name) for row in rows] for name in schema if name != "status"}
    columns["status"] = ["ok" if row.ok else "rejected" for row in rows]
    table = pl.DataFrame({name: columns[name] for name in schema}, schema=schema)
    if before is None or not before.equals(table) or facts != read_facts(path):
        write_table(path, table, facts)
    return table


def listing_facts(listing: Listing, version: int, containers: Mapping[str, float] | None = None) -> dict[str, str]:
    """Return what an index does not have in its rows: how many images were listed, their names, and who checked them.

    `containers` are the times of files that hold many images each.
    """
    facts = {
        "version": str(version),
        "listed": str(len(listing.rows)),
        "names": list_key(sorted(row.relative for row in listing.rows)),
    }
    facts |= {LEGEND: listing.legend.key} if listing.legend else {}
    return facts if containers is None else facts | {CONTAINERS: json.dumps(containers, sort_keys=True)}


def previous_index(index: Path) -> pl.DataFrame | None:
    """Return the index of an earlier run, or None if it is missing, damaged or of another version."""
    if not index.exists():
        return None
    try:
        before = read_table(index)
    except StoreError as error:
        log.warning("writing the index again: %s", error)
        return None
    return before if before.schema in SCHEMAS else None


def describe_index(source: NamedSource, index: Path, table: pl.DataFrame) -> DataRef:
    """Return the record of an index. Its targets are those of usable images, however many others the source lists."""
    used = table.filter(status="ok")
    rejected = table.filter(pl.col("status") != "ok")["rejection"].value_counts().sort("rejection")
    return DataRef(
        name=source.name,
        source=source.text,
        index=index,
        hash=table_hash(table),
        target=get_kind(Segmentation.name if "mask" in table.columns else source.source.kind).specify(used["target"]),
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
    unnoticed, and one that was only touched counts as changed: the next refresh finds out whether its images differ. Of files
    that were not `sampled`, only the names count.
    """
    try:
        found = parse_source(source)
        times = found.source.fingerprint()
        index = store.index(found.name)
        if not index.exists():
            return ""
        if found.source.is_remote:
            return "its images are elsewhere; the next refresh finds out whether they changed"
        if times is None:
            return ""
        if found.source.has_containers:
            names, counts = "", _container_changes(read_facts(index), times)
        else:
            names = _describe_names(read_facts(index), found.source.list(store)) if sampled else ""
            counts = _image_changes(found.source, index, times)
            counts["new"] *= not sampled
    except (ItmError, OSError, ValueError, pl.exceptions.PolarsError) as error:
        return f"its files cannot be listed: {error}"
    parts = [names] * bool(names) + [f"{pluralize(count, 'file')} {what}" for what, count in counts.items() if count]
    return f"{', '.join(parts)}; the next refresh finds out whether its images changed" if parts else ""


def _image_changes(source: Source, index: Path, times: Mapping[str, float]) -> dict[str, int]:
    """Return how many files differ from those of the index: images, and the lists that name them."""
    known, written = pl.read_parquet(index), index.stat().st_mtime
    masks = set(known["mask"].drop_nulls()) if "mask" in known.columns else set()
    images = set(times) - {*source.list_files}
    seen = masks | set(known.filter(pl.col("rejection").ne_missing("missing"))["path"])
    newer = sum(time > written for path, time in times.items() if path in seen or path not in images)
    gone = len((masks | set(known.filter(pl.col("id").is_not_null())["path"])) - images)
    return {"new": len(images - seen), "gone": gone, "newer than its index": newer}


def _container_changes(facts: Mapping[str, str], times: Mapping[str, float]) -> dict[str, int]:
    """Return how many files that hold many images each differ from those that were ingested."""
    before = json.loads(facts.get(CONTAINERS, "{}"))
    changed = sum(before.get(path, time) != time for path, time in times.items())
    return {"new": len(set(times) - set(before)), "gone": len(set(before) - set(times)), "changed": changed}


def _describe_names(before: Mapping[str, str], listing: Listing) -> str:
    """Return how the names of all listed files differ from those at ingestion, of which only a sample is in the index."""
    if "names" not in before:
        return "unknown whether files are new, since an earlier version wrote its index"
    now = listing_facts(listing, 0)
    if now["names"] == before["names"]:
        return ""
    more = int(now["listed"]) - int(before["listed"])
    return f"{pluralize(abs(more), 'file')} {'more' if more > 0 else 'fewer'} than before" if more else "files with other names"
