"""Embeddings that a user has computed: read a file of them, and check that there is one row of numbers per image."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from itm.core.errors import DataError, cause
from itm.core.text import join_names, pluralize

SUFFIXES = (".npy", ".npz", ".parquet")
MOST_NAMES = 4  # in a message


def read_array(path: Path) -> np.ndarray:
    """Return the array of a file. An `.npy` file is memory-mapped.

    An `.npz` file holds one array. A Parquet file holds one column of lists, or only columns of numbers.

    Raises
    ------
    DataError
        If the file cannot be read, or holds something else.
    """
    try:
        if path.suffix == ".parquet":
            return _read_parquet(path)
        if path.suffix == ".npz":
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
                if len(arrays.files) != 1:
                    names = join_names(arrays.files, MOST_NAMES) or "none"
                    raise DataError(
                        f"{path}: holds {pluralize(len(arrays.files), 'array')} ({names}); save one array per file."
                    )
                return np.asarray(arrays[arrays.files[0]])
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; check the path.") from error
    except ValueError as error:
        if "pickle" in str(error) or "Python objects" in str(error):
            raise DataError(f"{path}: holds no plain array of numbers or text, and Python objects are not read.") from error
        raise _damaged(path, error) from error
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, pl.exceptions.PolarsError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"{path}: cannot be read ({cause(error)}); save it again.")


def _read_parquet(path: Path) -> np.ndarray:
    table = pl.read_parquet(path, glob=False)
    nested = [name for name, kind in table.schema.items() if kind.is_nested()]
    if len(nested) == 1:
        column = table[nested[0]]
        widths = column.list.len().unique() if column.dtype == pl.List else None
        if column.null_count() or (widths is not None and len(widths) > 1):
            raise DataError(f"{path}: the lists of the column {nested[0]!r} differ in length; one row per image is needed.")
        return column.to_numpy() if widths is None else column.explode().to_numpy().reshape(len(column), -1)
    if others := [name for name, kind in table.schema.items() if not kind.is_numeric()]:
        names = join_names(list(map(repr, others)), MOST_NAMES)
        raise DataError(f"{path}: {names} hold no numbers; leave only the columns of the embeddings, or one column of lists.")
    return table.to_numpy()


def check_table(values: np.ndarray, rows: int, what: str) -> None:
    """Check that an array is a table of numbers with one row for each of `rows` labels. `what` begins the messages.

    Raises
    ------
    DataError
        If it is not.
    """
    if values.dtype.kind not in "fiub":
        raise DataError(f"{what}: holds values of type {values.dtype}; numbers are needed.")
    if values.ndim != 2:
        raise DataError(f"{what}: has the shape {values.shape}; one row per image and one column per feature are needed.")
    if len(values) != rows:
        hint = " It looks transposed." if values.shape[1] == rows else ""
        raise DataError(
            f"{what}: has {pluralize(len(values), 'row')} for {pluralize(rows, 'label')}; one row per label is needed, in the "
            f"same order.{hint}"
        )
    if 0 in values.shape:
        raise DataError(f"{what}: is empty; one row per image and one column per feature are needed.")


def as_float32(values: np.ndarray, positions: np.ndarray, what: str) -> np.ndarray:
    """Return the rows of a table at these positions as float32, copied only if necessary.

    Raises
    ------
    DataError
        If a value of these rows is missing or not finite.
    """
    chosen: Any = values if np.array_equal(positions, np.arange(len(values))) else values[positions]
    with np.errstate(over="ignore"):
        found = np.asarray(chosen, dtype=np.float32)
    bad = ~np.isfinite(found.sum(axis=1, dtype=np.float64))
    if bad.any():
        raise DataError(
            f"{what}: {pluralize(int(bad.sum()), 'row')} of {len(found):,} hold values that are missing or infinite, the first "
            f"is row {int(positions[bad.argmax()])}, counted from 0; leave these rows and their labels out."
        )
    return found
