"""The sources `csv:PATH` and `parquet:PATH`: an index of images with a target and, optionally, a split and a group."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import polars as pl

from itm.core.errors import DataError, ParamsError, did_you_mean
from itm.core.types import SplitName
from itm.data.rows import SPLIT_NAMES, Listing, Row
from itm.data.sources.base import OptionValue, Source, register_source
from itm.kinds import get_kind
from itm.store.layout import Store


@dataclass(frozen=True)
class _Table(Source):
    """An index with the columns `path`, a target and, optionally, `split` and `group`.

    `task` is the task kind. `target` and `group` name these columns if they do not have their default names: the name that the
    task kind gives its target, and `group`.
    """

    options: ClassVar[Mapping[str, type[OptionValue]]] = {"task": str, "target": str, "group": str}

    path: Path
    task: str = "classification"
    target: str | None = None
    group: str | None = None

    @classmethod
    def parse(cls, place: str, options: Mapping[str, OptionValue]) -> Self:
        given = {name: str(value) for name, value in options.items()}
        try:
            get_kind(given.get("task", "classification"))
        except ParamsError as error:
            raise DataError(f"{cls.scheme}:{place}: {error}") from None
        return cls(Path(place).expanduser(), **given)

    @property
    def kind(self) -> str:
        return self.task

    @property
    def default_name(self) -> str:
        return self.path.stem or self.scheme

    def list(self, store: Store) -> Listing:  # noqa: ARG002
        """List the images. Images outside the folder of the index are rejected, since an index may come from someone else."""
        return Listing(self._rows())

    def fingerprint(self) -> Mapping[str, float]:
        """Return the times of the images and of the index itself."""
        paths = [self.path, *(Path(row.path) for row in self._rows())]
        return {path.as_posix(): path.stat().st_mtime for path in paths if path.is_file()}

    @property
    def list_file(self) -> str:
        return self.path.as_posix()

    def _rows(self) -> tuple[Row, ...]:
        table, target = self._read(), self.target or get_kind(self.task).target_column
        columns = [table["path"], table[target], self._splits(table), self._groups(table)]
        return tuple(self._row(*values) for values in zip(*columns, strict=True))

    def _read(self) -> pl.DataFrame:
        """Return the columns that are used as text, and check that no path or target is empty."""
        if self.path.is_dir():
            raise DataError(f"{self.path}: is a folder, not an index; write folder:PATH for it.")
        if not self.path.is_file():
            raise DataError(f"{self.path}: no such file; check the path.")
        try:
            table = pl.read_csv(self.path, infer_schema=False) if self.scheme == "csv" else pl.read_parquet(self.path)
            needed = ["path", self.target or get_kind(self.task).target_column, *([self.group] if self.group else [])]
            if missing := [column for column in needed if column not in table.columns]:
                raise DataError(
                    f"{self.path}: there is no column {' and no column '.join(map(repr, missing))}"
                    f"{did_you_mean(missing[0], table.columns)} Found: {', '.join(table.columns)}; needed: "
                    f"{', '.join(needed)}; optional: split and group. Name other columns with ?target=COLUMN and ?group=COLUMN."
                )
            wanted = dict.fromkeys([*needed, *(name for name in ("split", "group") if name in table.columns)])
            table = table.select(pl.col(list(wanted)).cast(pl.String))
        except (pl.exceptions.PolarsError, OSError) as error:
            raise DataError(
                f"{self.path}: cannot be read as {self.scheme} ({error}); repair the file, or write csv: or parquet: as it is."
            ) from error
        for column in needed[:2]:
            self._check_filled(table, column)
        return table

    def _check_filled(self, table: pl.DataFrame, column: str) -> None:
        empty = table[column].fill_null("") == ""
        if empty.any():
            raise DataError(f"{self.path}: row {(empty.arg_max() or 0) + 1} has no {column}; add it or remove the row.")

    def _splits(self, table: pl.DataFrame) -> Sequence[SplitName | None]:
        if "split" not in table.columns or (table["split"].fill_null("") == "").all():
            return [None] * len(table)
        self._check_filled(table, "split")
        for number, name in enumerate(table["split"], start=1):
            if name.lower() not in SPLIT_NAMES:
                hint = did_you_mean(name.lower(), SPLIT_NAMES)
                raise DataError(f"{self.path}: row {number} has the split {name!r}{hint} Known: {', '.join(SPLIT_NAMES)}.")
        return [SPLIT_NAMES[name.lower()] for name in table["split"]]

    def _groups(self, table: pl.DataFrame) -> Sequence[str | None]:
        """Return the group of each image; an empty cell means no group."""
        column = self.group or "group"
        if column not in table.columns:
            return [None] * len(table)
        return [group or None for group in table[column]]

    def _row(self, given: str, target: str, split: SplitName | None, group: str | None) -> Row:
        inside = _inside(self.path.parent, given)
        if inside is None:
            reason = "outside the folder of the index; move the index above its images"
            return Row(given, given, target, split, group).reject("outside the folder", reason)
        return Row((self.path.parent / inside).as_posix(), inside, target, split, group)


@register_source
@dataclass(frozen=True)
class Csv(_Table):
    """An index as a CSV file."""

    scheme: ClassVar[str] = "csv"
    usage: ClassVar[str] = "csv:PATH?task=TASK&target=COLUMN&group=COLUMN"


@register_source
@dataclass(frozen=True)
class Parquet(_Table):
    """An index as a Parquet file."""

    scheme: ClassVar[str] = "parquet"
    usage: ClassVar[str] = "parquet:PATH?task=TASK&target=COLUMN&group=COLUMN"


def _inside(folder: Path, given: str) -> str | None:
    """Return the path relative to the folder of the index, or None if it is outside. Links inside the folder may lead out."""
    path = Path(os.path.normpath(given))
    if path.is_absolute():
        home = Path(os.path.normpath(folder.absolute()))
        return path.relative_to(home).as_posix() if path.is_relative_to(home) else None
    return None if ".." in path.parts else path.as_posix()
