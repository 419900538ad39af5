"""Lists the images of a CSV or Parquet index with the columns path, label and, if it likes, split."""

import os
from pathlib import Path
from typing import Literal

import polars as pl

from itm.core.errors import DataError, did_you_mean
from itm.core.types import SplitName
from itm.data.rows import SPLIT_NAMES, Listing, Row


def list_table(path: Path, kind: Literal["csv", "parquet"]) -> Listing:
    """List the images an index names; those outside its own folder are set aside, lest a foreign index reach other files.

    Raises
    ------
    DataError
        If the index cannot be read, lacks a column, or a row lacks a path or label or names an unknown split.
    """
    table = _read(path, kind)
    for column in ("path", "label"):
        _check_filled(table, column, path)
    splits = _splits(table, path)
    columns = zip(table["path"], table["label"], splits, strict=True)
    rows = tuple(_row(path.parent, given, label, split) for given, label, split in columns)
    return Listing(rows, tuple(sorted({row.class_name for row in rows})))


def _read(path: Path, kind: Literal["csv", "parquet"]) -> pl.DataFrame:
    if not path.is_file():
        state = "is a folder, not an index; write folder:PATH for it" if path.is_dir() else "no such file; check the path"
        raise DataError(f"{path}: {state}.")
    try:
        table = pl.read_csv(path, infer_schema=False) if kind == "csv" else pl.read_parquet(path)
        missing = [column for column in ("path", "label") if column not in table.columns]
        if missing:
            hint = did_you_mean(missing[0], table.columns)
            raise DataError(
                f"{path}: there is no column {' and no column '.join(map(repr, missing))}{hint} "
                f"Found: {', '.join(table.columns)}; needed: path, label and optionally split."
            )
        wanted = [column for column in ("path", "label", "split") if column in table.columns]
        return table.select(pl.col(wanted).cast(pl.String))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path}: cannot be read as {kind} ({error}); mend the file or name the right kind.") from error


def _check_filled(table: pl.DataFrame, column: str, path: Path) -> None:
    empty = table[column].fill_null("") == ""
    if empty.any():
        raise DataError(f"{path}: row {(empty.arg_max() or 0) + 1} has no {column}; fill it in or remove the row.")


def _splits(table: pl.DataFrame, path: Path) -> list[SplitName | None]:
    if "split" not in table.columns or (table["split"].fill_null("") == "").all():
        return [None] * len(table)
    _check_filled(table, "split", path)
    splits: list[SplitName | None] = []
    for number, name in enumerate(table["split"], start=1):
        if name.lower() not in SPLIT_NAMES:
            hint = did_you_mean(name.lower(), SPLIT_NAMES)
            raise DataError(f"{path}: row {number} names the split {name!r}{hint} Known: {', '.join(SPLIT_NAMES)}.")
        splits.append(SPLIT_NAMES[name.lower()])
    return splits


def _row(folder: Path, given: str, label: str, split: SplitName | None) -> Row:
    inside = _inside(folder, given)
    if inside is None:
        return Row(given, given, label, split).set_aside(
            "outside the folder", "outside the folder of the index; move the index above its images"
        )
    return Row((folder / inside).as_posix(), inside, label, split)


def _inside(folder: Path, given: str) -> str | None:
    """Return the path below the index's folder, judged by its words alone: links inside the folder may lead anywhere."""
    path = Path(os.path.normpath(given))
    if path.is_absolute():
        home = Path(os.path.normpath(folder.absolute()))
        return path.relative_to(home).as_posix() if path.is_relative_to(home) else None
    return None if ".." in path.parts else path.as_posix()
