"""Lists a folder of images: a sub-folder per class, or train, val and test folders that each hold a sub-folder per class."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

from itm.core.errors import DataError
from itm.core.types import SplitName
from itm.data.rows import SPLIT_NAMES, Listing, Row, as_text

log = logging.getLogger(__name__)


def list_folder(folder: Path) -> Listing:
    """List every file of every class folder, whatever it is, without opening it; hidden files are no part of a data set.

    Raises
    ------
    DataError
        If there is no such folder, it is empty, or its images lie in it without class folders.
    """
    rows: list[Row] = []
    classes: set[str] = set()
    for class_folder, split in _class_folders(folder):
        name = as_text(class_folder.name)
        if name is None:
            raise DataError(f"{folder}: the name of the class folder {class_folder.name!r} is not UTF-8; rename it.")
        classes.add(name)
        rows += [_row(folder, path, name, split) for path in _files(class_folder)]
    return Listing(tuple(rows), tuple(sorted(classes)))


def _class_folders(folder: Path) -> list[tuple[Path, SplitName | None]]:
    """Return the class folders, with their split where all sub-folders are named as splits and one of them is train."""
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
        raise DataError(f"{folder}: no such folder; check the path, which counts from {Path.cwd()}.") from None
    except NotADirectoryError:
        raise DataError(
            f"{folder}: is a file, not a folder; give the folder that holds a sub-folder per class, "
            f"or csv:PATH or parquet:PATH for an index of images."
        ) from None
    except OSError as error:
        raise _cannot_list(error) from error
    files = len(entries) - len(sub_folders)
    if not sub_folders and not may_be_empty:
        found = f"holds {files:,} files directly and no class folders" if files else "is empty"
        raise DataError(f"{folder}: {found}; put the images of each class into a sub-folder named after the class.")
    if files:
        log.warning("%s: %s files lie outside the class folders and are ignored", folder, f"{files:,}")
    return sub_folders


def _files(class_folder: Path) -> Iterator[Path]:
    """Yield all files below a class folder, through links too but through no folder twice, since links can form a ring."""
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
    text, relative = as_text(path.as_posix()), as_text(path.relative_to(folder).as_posix())
    if text is not None and relative is not None:
        return Row(text, relative, class_name, split)
    readable = os.fsencode(path).decode("utf-8", "backslashreplace")
    return Row(readable, readable, class_name, split).set_aside("unreadable", "unreadable: the file's name is not UTF-8")


def _raise(error: OSError) -> None:
    raise _cannot_list(error) from error


def _cannot_list(error: OSError) -> DataError:
    return DataError(f"{error.filename}: the folder cannot be listed ({error.strerror}); allow reading it or remove it.")
