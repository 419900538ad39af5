"""The sources `csv:PATH` and `parquet:PATH`: an index of images with a target and, optionally, a split and a group."""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Self

from itm.core.errors import DataError, did_you_mean
from itm.core.labels import as_whole_numbers, clean, is_missing
from itm.core.text import pluralize
from itm.data.local_files import expand, is_file, is_folder
from itm.data.rows import SPLIT_NAMES, Listing, Row, read_split
from itm.data.sources import legends
from itm.data.sources.base import OptionValue, Source, register_source
from itm.data.sources.detection import refuse_detection
from itm.data.sources.index_columns import Columns, Wanted, read_csv_columns, read_parquet_columns, text_options
from itm.data.sources.index_paths import Places, as_option, is_left_by_system
from itm.data.sources.target_columns import list_column
from itm.kinds import get_kind
from itm.store.layout import Store

OPTIONS = ("task", "path", "target", "split", "group", "root")
USAGE = "PATH?task=TASK&path=COLUMN&target=COLUMN&split=COLUMN&group=COLUMN&root=FOLDER&ignore=VALUES&classes=NAMES&patches=64"


@dataclass(frozen=True)
class IndexFile(Source):
    """An index with a column of paths, a target and, optionally, a split and a group.

    `task` is the task kind; without it, a column of lists is multi-label and everything else is classification. `path`,
    `target`, `split` and `group` name these columns if they do not have their default names: the target has the name that the
    task kind gives it, the others that of the option. `target` can name several columns. Images are below `root`, or below the
    folder of the index. For segmentation, the target is the path of a mask, which the options of `legends` explain.
    """

    options: ClassVar[Mapping[str, type[OptionValue]]] = {**dict.fromkeys(OPTIONS, str), **legends.OPTIONS}

    file: Path
    task: str | None = None
    path: str | None = None
    target: str | None = None
    split: str | None = None
    group: str | None = None
    root: str | None = None
    ignore: str | None = None
    classes: str | None = None
    patches: str | None = None

    @classmethod
    def parse(cls, place: str, options: Mapping[str, OptionValue]) -> Self:
        return cls(expand(place), **text_options(f"{cls.scheme}:{place}", options))

    @property
    def kind(self) -> str:
        return self.task or ("multilabel" if self._lists else "classification")

    @cached_property
    def _lists(self) -> str:
        """Return the column that holds lists of labels, if the kind of task is to be inferred."""
        return list_column(self.file, self.target) if self.scheme == "parquet" and self.task is None else ""

    @property
    def default_name(self) -> str:
        return self.file.stem or self.scheme

    def list(self, store: Store) -> Listing:  # noqa: ARG002
        """List the images. Images outside the root are rejected, since an index may come from someone else."""
        return self._listing()

    def fingerprint(self) -> Mapping[str, float]:
        """Return the times of the images that may be read and of the lists of them."""
        rows = [row for row in self._listing().rows if row.ok]
        paths = map(Path, [*self.list_files, *(row.path for row in rows), *(row.mask for row in rows if row.mask)])
        return {path.as_posix(): path.stat().st_mtime for path in paths if is_file(path)}

    @property
    def local_place(self) -> Path:
        return self.file

    @property
    def list_files(self) -> Collection[str]:
        names = legends.legend_file([self.file.parent]) if self._has_masks else None
        return (self.file.as_posix(), *([names] if names else []))

    @property
    def _has_masks(self) -> bool:
        return self.task is not None and get_kind(self.task).level == "patch"

    def likely_cause(self, row: Row) -> str:
        if row.rejection == "outside the folder":
            return self._places().tail(row.relative)
        return self._places().likely_cause(row.relative) if row.rejection == "missing" else ""

    def _places(self) -> Places:
        root = expand(self.root) if self.root else None
        if root and not is_folder(root):
            raise DataError(f"{self.file}: the root {root} is no folder; check the path, which is relative to {Path.cwd()}.")
        return Places(self.file.parent, root)

    def _listing(self) -> Listing:
        places, columns = self._places(), self._read()
        paths, nothing = columns.values["path"], [""] * len(columns.values["path"])
        targets = self._texts(columns)
        groups = [None if is_missing(name) else clean(name) for name in as_whole_numbers(columns.values.get("group", nothing))]
        names = columns.values.get("split", nothing)
        splits = {name: read_split(name) for name in set(names)}
        lines: Sequence[int | None] = columns.lines or [None] * len(paths)
        rows = [
            self._row(places, path, Row("", "", target, splits[split], group, number=number, line=line))
            for number, (path, target, split, group, line) in enumerate(
                zip(paths, targets, names, groups, lines, strict=True), start=1
            )
        ]
        if not all(map(is_missing, splits)):
            rows = [row if row.split else without_split(row, name) for row, name in zip(rows, names, strict=True)]
        legend = None
        if self._has_masks:
            options = {name: getattr(self, name) for name in legends.OPTIONS}
            legend = legends.read_legend(str(self.file), options, [self.file.parent])
            rows = [_with_mask(row, places) for row in rows]
        elif given := [name for name in legends.OPTIONS if getattr(self, name)]:
            raise DataError(f"{self.file}: {given[0]} is an option of masks; write task=segmentation, or leave it out.")
        for number, found in columns.uneven.items():
            reason = rows[number].has(f"{found} cells instead of {columns.width}")
            rows[number] = rows[number].reject(
                "too many cells", f"{reason}; put a cell that holds a separator into quotation marks"
            )
        notes = [f"{self.file}: {pluralize(count, 'path')} read {change}" for change, count in places.changes.items() if change]
        notes += [f"{self.file}: {legend.note}"] if legend else []
        if self._lists:
            notes.append(f"{self.file}: the column {self._lists!r} holds lists, so the task is multilabel")
        rows = [*_with_root(rows, places)]
        return Listing(tuple(rows), notes=(*columns.notes, *notes), warnings=columns.warnings, legend=legend)

    def _texts(self, columns: Columns) -> Sequence[str]:
        """Return the text of the target of each row."""
        try:
            return get_kind(self.kind).texts(columns.targets or {"target": columns.values["target"]})
        except DataError as error:
            raise DataError(f"{self.file}: {error}") from None

    def _check_file(self) -> None:
        if is_folder(self.file):
            raise DataError(f"{self.file}: is a folder, not an index; write folder:PATH for it.")
        if not is_file(self.file):
            raise DataError(f"{self.file}: no such file; check the path.")
        refuse_detection(self.file)

    def _read(self) -> Columns:
        self._check_file()
        names = {
            "path": self.path or "path",
            "target": self.target or self._lists or get_kind(self.kind).target_column,
            "split": self.split or "split",
            "group": self.group or "group",
        }
        needed = ["path", "target", *(["split"] if self.split else []), *(["group"] if self.group else [])]
        wanted = Wanted({role: clean(name) for role, name in names.items()}, tuple(needed), self.kind == "multilabel")
        try:
            return read_csv_columns(self.file, wanted) if self.scheme == "csv" else read_parquet_columns(self.file, wanted)
        except OSError as error:
            raise DataError(f"{self.file}: cannot be read ({error.strerror or error}); allow reading it.") from error

    def _row(self, places: Places, given: str, row: Row) -> Row:
        """Return `row` with its path, or rejected if it has none that may be used."""
        if is_missing(given):
            return row.reject("no path", row.has("no path"))
        inside = places.find(given)
        if inside is None:
            return replace(row, path=given, relative=given).reject("outside the folder", places.why_outside(given))
        row = replace(row, path=places.locate(inside), relative=inside)
        if is_left_by_system(inside):
            return row.reject("system file", "a file that a system has left, and no image of a class; remove the row")
        return row


@register_source
@dataclass(frozen=True)
class Csv(IndexFile):
    """An index as a CSV file."""

    scheme: ClassVar[str] = "csv"
    usage: ClassVar[str] = f"csv:{USAGE}"


@register_source
@dataclass(frozen=True)
class Parquet(IndexFile):
    """An index as a Parquet file."""

    scheme: ClassVar[str] = "parquet"
    usage: ClassVar[str] = f"parquet:{USAGE}"


def without_split(row: Row, name: str) -> Row:
    """Return a row that is rejected because its split is missing or unknown."""
    if is_missing(name):
        return row.reject("no split", row.has("no split"))
    hint = did_you_mean(clean(name).casefold(), SPLIT_NAMES)
    return row.reject("no split", f"{row.has(f'the split {name!r}')}{hint} Known: {', '.join(SPLIT_NAMES)}")


def _with_mask(row: Row, places: Places) -> Row:
    """Return a row of an index whose target is the path of its mask; a mask outside the root is refused like an image."""
    if not row.ok:
        return replace(row, target="")
    if is_missing(row.target):
        return row.reject("no mask", row.has("no mask"))
    inside = places.find(row.target)
    if inside is None:
        reason = f"its mask {row.target} is {places.why_outside(row.target)}"
        return replace(row, target="").reject("outside the folder", reason)
    return replace(row, target="", mask=places.locate(inside))


def _with_root(rows: Sequence[Row], places: Places) -> Sequence[Row]:
    """Return the rows; the reason of those outside the root names the root that has the images of all rows."""
    outside = {row.path for row in rows if row.rejection == "outside the folder" and places.absolute(row.path)}
    if not outside:
        return rows
    inside = {os.path.abspath(row.path) for row in rows if row.ok}  # noqa: PTH100  (much faster than Path)
    common = Path(os.path.commonpath([*map(places.absolute, outside), *inside]))
    common = common.parent if len(outside | inside) == 1 else common
    if not is_folder(common):
        advice = f"{common} is not on this machine"
    elif common == common.parent:
        advice = "name the folder of all images with ?root=FOLDER"
    else:
        advice = f"write ?root={as_option(common)}"
    return [row.reject("outside the folder", f"{row.reason}; {advice}") if row.path in outside else row for row in rows]
