"""The columns of an index that have the targets: one, several that a pattern names, or one that holds lists of labels."""

import json
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import polars as pl

from itm.core.labels import clean

ROLE = "target"
SEPARATOR = ","  # between the names of several columns
USUAL = ("labels", "label")  # columns that may hold lists


def with_targets(names: Mapping[str, str], header: Sequence[str]) -> dict[str, str]:
    """Return column names by role, with one role per column of targets if the name of the target stands for several.

    Names are separated by commas, and `*` and `?` are wildcards for the columns that have no other role. A name that is that of
    a column stands for it, whatever it contains.
    """
    wanted = names.get(ROLE, "")
    present, others = {cell.casefold() for cell in header}, {name.casefold() for role, name in names.items() if role != ROLE}
    if not any(mark in wanted for mark in (SEPARATOR, "*", "?")) or wanted.casefold() in present:
        return dict(names)
    columns: dict[str, None] = {}
    for part in map(clean, wanted.split(SEPARATOR)):
        free = [cell for cell in header if cell.casefold() not in others and fnmatchcase(cell.casefold(), part.casefold())]
        columns |= dict.fromkeys(free or [part])
    return {role: name for role, name in names.items() if role != ROLE} | {f"{ROLE} {name}": name for name in columns}


def list_column(file: Path, name: str | None) -> str:
    """Return the column of a Parquet file that holds lists of labels: the one with this name or a usual one, or nothing."""
    try:
        schema = pl.read_parquet_schema(file)
    except (pl.exceptions.PolarsError, OSError):
        return ""  # reading it says what is wrong
    wanted = [clean(name).casefold()] if name else USUAL
    lists = [column for column, kind in schema.items() if clean(column).casefold() in wanted and is_list(kind)]
    return lists[0] if len(lists) == 1 else ""


def is_list(kind: pl.DataType) -> bool:
    """Return whether a column holds lists of names or whole numbers."""
    if not isinstance(kind, pl.List | pl.Array):
        return False
    inner = kind.inner
    return isinstance(inner, pl.String | pl.Categorical | pl.Enum) or (isinstance(inner, pl.DataType) and inner.is_integer())


def list_texts(column: pl.Series) -> list[str]:
    """Return each list of a column as JSON, and a missing one as an empty text."""
    rows = column.to_list()
    return ["" if row is None else json.dumps([str(name) for name in row if name is not None]) for row in rows]
