"""The source `folder:PATH`: a sub-folder per class, or train, val and test folders that each hold a sub-folder per class."""

import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NoReturn, Self

from itm.core.errors import DataError
from itm.core.text import pluralize
from itm.core.types import SplitName
from itm.data.rows import SPLIT_NAMES, Listing, Row
from itm.data.sources.base import OptionValue, Source, register_source
from itm.store.layout import Store

log = logging.getLogger(__name__)


@register_source
@dataclass(frozen=True)
class Folder(Source):
    """A folder on this machine."""

    scheme: ClassVar[str] = "folder"
    usage: ClassVar[str] = "folder:PATH"

    path: Path

    @classmethod
    def parse(cls, place: str, options: Mapping[str, OptionValue]) -> Self:  # noqa: ARG003
        return cls(Path(place).expanduser())

    @property
    def default_name(self) -> str:
        return (self.path if self.path.name not in ("", "..") else self.path.resolve()).name or self.scheme

    def list(self, store: Store) -> Listing:  # noqa: ARG002
        return list_folder(self.path)

    def fingerprint(self) -> Mapping[str, float]:
        paths = [Path(row.path) for row in list_folder(self.path).rows]
        return {path.as_posix(): path.stat().st_mtime for path in paths if path.is_file()}


def list_folder(folder: Path) -> Listing:
    """Return all files in the class folders except hidden ones, without opening any.

    Raises
    ------
    DataError
        If the folder is missing or empty, or has images but no class folders.
    """
    rows: list[Row] = []
    classes: set[str] = set()
    for class_folder, split in _class_folders(folder):
        name = class_folder.name
        if not _is_utf8(name):
            raise DataError(f"{folder}: the name of the class folder {name!r} is not UTF-8; rename it.")
        classes.add(name)
        rows += [_row(folder, path, name, split) for path in _files(class_folder)]
    return Listing(tuple(rows), tuple(sorted(classes)))


def _class_folders(folder: Path) -> list[tuple[Path, SplitName | None]]:
    """Return the class folders. They have splits if all sub-folders have names of splits and one of them is train."""
    children = _sub_folders(folder)
    splits = [SPLIT_NAMES.get(child.name.lower()) for child in children]
    if None in splits or "train" not in splits:
        return [(child, None) for child in children]
    parts = zip(children, splits, strict=True)
    return [(child, split) for part, split in parts for child in _sub_folders(part, may_be_empty=split != "train")]


def _sub_folders(folder: Path, may_be_empty: bool = False) -> list[Path]:
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
        sub_folders = [entry for entry in entries if entry.is_dir()]
    except FileNotFoundError:
        raise DataError(f"{folder}: no such folder; check the path, which is relative to {Path.cwd()}.") from None
    except NotADirectoryError:
        raise DataError(
            f"{folder}: is a file, not a folder; name the folder that has one sub-folder per class, "
            f"or write csv:PATH or parquet:PATH for an index of images."
        ) from None
    except OSError as error:
        _raise(error)
    files = len(entries) - len(sub_folders)
    if not sub_folders and not may_be_empty:
        found = f"has {pluralize(files, 'file')} but no class folders" if files else "is empty"
        raise DataError(f"{folder}: {found}; put the images of each class into a sub-folder with the name of the class.")
    if files:
        log.warning("%s: ignored %s outside the class folders", folder, pluralize(files, "file"))
    return sub_folders


def _files(class_folder: Path) -> Iterator[Path]:
    """Yield all files below a class folder. Links are followed, but no folder is visited twice: links can form a cycle."""
    seen: set[str] = set()
    for where, folders, files in os.walk(class_folder, followlinks=True, onerror=_raise):
        real = os.path.realpath(where)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(where, name) for name in sorted(files) if not name.startswith("."))


def _row(folder: Path, path: Path, class_name: str, split: SplitName | None) -> Row:
    if _is_utf8(path.as_posix()):
        return Row(path.as_posix(), path.relative_to(folder).as_posix(), class_name, split)
    readable = os.fsencode(path).decode("utf-8", "backslashreplace")
    return Row(readable, readable, class_name, split).reject("unreadable", "unreadable: the name of the file is not UTF-8")


def _is_utf8(path: str) -> bool:
    """Return whether a path can be stored as text: a file system can give other bytes."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _raise(error: OSError) -> NoReturn:
    raise DataError(
        f"{error.filename}: the folder cannot be listed ({error.strerror}); allow reading it or remove it."
    ) from error
