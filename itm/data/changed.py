"""What can be known of data sets without opening an image: their indexes, and whether their files look like others by now."""

from pathlib import Path

import polars as pl

from itm.core.errors import ItmError
from itm.core.text import counted
from itm.core.types import DataRef
from itm.data.index import index_before, table_hash
from itm.data.rows import Listing
from itm.data.sources.folder import list_folder
from itm.data.sources.parse import Source, parse_source
from itm.data.sources.table import list_table
from itm.store.layout import Store


def indexed(source: str, store: Store) -> DataRef | None:
    """Return a data set as its index has it, whatever its files are by now; nothing where there is no index.

    Raises
    ------
    DataError
        If the source's text is wrong.
    """
    found = parse_source(source)
    index = store.index(found.name)
    table = index_before(index)
    if table is None:
        return None
    used = table.filter(pl.col("status") == "ok")
    aside = table.filter(pl.col("status") != "ok")["kind"].value_counts().sort("kind")
    classes = table.select("label", "class_name").unique().sort("label")["class_name"].to_list()
    return DataRef(found.name, found.text, index, table_hash(table), tuple(classes), len(used), dict(aside.iter_rows()))


def looks_changed(source: str, sampled: bool, store: Store) -> str:
    """Say in what way the files of a data set look like others than its index knows; nothing where they do not.

    Names and times of change are compared and no file is read. So a file that was exchanged with its old time kept goes
    unnoticed, and one that was only touched does not: whether its images are others is for the next refresh to say. Of a
    `sampled` data set the index knows some files only, and new ones cannot be told from those that were not drawn. Images that
    this library draws or unpacks itself do not change.
    """
    try:
        found = parse_source(source)
        if found.made is not None or found.kind == "digits":
            return ""
        index, listing = store.index(found.name), _list(found)
        if not index.exists():
            return ""
        known = set(pl.read_parquet(index, columns=["path"])["path"])
        listed = {row.path for row in listing.rows}
        newer = _newer(known & listed, found, index)
    except (ItmError, OSError, pl.exceptions.PolarsError) as error:
        return f"its files cannot be listed: {error}"
    counts = {"new": 0 if sampled else len(listed - known), "gone": len(known - listed), "newer than its index": newer}
    parts = [f"{counted(count, 'file')} {what}" for what, count in counts.items() if count]
    return f"{', '.join(parts)}; the next refresh says whether its images are others" if parts else ""


def _list(source: Source) -> Listing:
    if source.kind == "csv" or source.kind == "parquet":
        return list_table(source.path, source.kind)
    return list_folder(source.path)


def _newer(paths: set[str], source: Source, index: Path) -> int:
    """Return how many files, the table that names them among them, were changed after the index was written."""
    written = index.stat().st_mtime
    files = [Path(path) for path in paths] + ([source.path] if source.path.is_file() else [])
    return sum(path.stat().st_mtime > written for path in files if path.exists())
