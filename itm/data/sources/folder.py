"""The source `folder:PATH`: a sub-folder per class, or train, val and test folders that each hold a sub-folder per class."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from itm.core.errors import DataError
from itm.core.types import SplitName
from itm.data.local_files import expand, is_file
from itm.data.rows import Listing, Row
from itm.data.sources.base import OptionValue, Source, register_source
from itm.data.sources.clutter import is_clutter
from itm.data.sources.layout import describe_ignored, find_layout
from itm.store.layout import Store


@register_source
@dataclass(frozen=True)
class Folder(Source):
    """A folder on this machine."""

    scheme: ClassVar[str] = "folder"
    usage: ClassVar[str] = "folder:PATH"

    path: Path

    @classmethod
    def parse(cls, place: str, options: Mapping[str, OptionValue]) -> Self:  # noqa: ARG003
        return cls(expand(place))

    @property
    def default_name(self) -> str:
        return (self.path if self.path.name not in ("", "..") else self.path.resolve()).name or self.scheme

    def list(self, store: Store) -> Listing:  # noqa: ARG002
        return list_folder(self.path)

    def fingerprint(self) -> Mapping[str, float]:
        paths = (row.path for row in list_folder(self.path).rows)
        return {path: Path(path).stat().st_mtime for path in paths if is_file(path)}


def list_folder(folder: Path) -> Listing:
    """Return all files in the class folders except those that systems leave there, without opening any.

    Raises
    ------
    DataError
        If the folder is missing or empty, has images but no class folders, or can be read in two ways.
    """
    layout = find_layout(folder)
    rows: list[Row] = []
    classes: set[str] = set()
    for class_folder, name, split in layout.classes:
        if not _is_utf8(name):
            raise DataError(f"{folder}: the name of the class folder {name!r} is not UTF-8; rename it.")
        before = len(layout.ignored)
        unlistable: list[OSError] = []
        found = [
            _row(path, relative, name, split) for path, relative in _files(folder, class_folder, layout.ignored, unlistable)
        ]
        found += [_unlistable(folder, error, name, split) for error in unlistable]
        if found or len(layout.ignored) == before:  # a folder of nothing but files of other systems is no class
            classes.add(name)
        rows += found
    notes = [*layout.notes, *([describe_ignored(folder, layout.ignored)] if layout.ignored else [])]
    return Listing(tuple(rows), tuple(sorted(classes)), tuple(notes), tuple(layout.warnings))


def _files(folder: Path, class_folder: Path, ignored: list[str], unlistable: list[OSError]) -> Iterator[tuple[str, str]]:
    """Yield the path of every file below a class folder, and the path relative to `folder`.

    Links are followed, but no folder is visited twice: links can form a cycle.
    """
    seen: set[str] = set()
    for where, folders, files in os.walk(class_folder, followlinks=True, onerror=unlistable.append):
        real = os.path.realpath(where)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        ignored += [name for name in folders if is_clutter(name, folder=True)]
        images = sorted(name for name in files if not is_clutter(name))
        if len(images) < len(files):
            ignored += [name for name in files if is_clutter(name)]
        folders[:] = sorted(name for name in folders if not is_clutter(name, folder=True))
        path, relative = Path(where).as_posix(), Path(where).relative_to(folder).as_posix()
        yield from ((f"{path}/{name}", f"{relative}/{name}") for name in images)


def _row(path: str, relative: str, class_name: str, split: SplitName | None) -> Row:
    if _is_utf8(path):
        return Row(path, relative, class_name, split)
    readable = os.fsencode(path).decode("utf-8", "backslashreplace")
    return Row(readable, readable, class_name, split).reject("unreadable", "unreadable: the name of the file is not UTF-8")


def _unlistable(folder: Path, error: OSError, class_name: str, split: SplitName | None) -> Row:
    path = Path(error.filename)
    row = _row(path.as_posix(), path.relative_to(folder).as_posix(), class_name, split)
    return row.reject("unreadable", f"unreadable: the folder cannot be listed ({error.strerror}); allow reading it")


def _is_utf8(path: str) -> bool:
    """Return whether a path can be stored as text: a file system can give other bytes."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
