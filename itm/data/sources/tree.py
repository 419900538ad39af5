"""List the images of class folders, which may be folders of this machine or those of an archive."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from itm.core.errors import DataError
from itm.core.types import SplitName
from itm.data.local_files import is_utf8, readable
from itm.data.rows import Listing, Row
from itm.data.sources.layout import Entries, describe_ignored, find_layout


class Tree(Protocol):
    """Folders and files below a root."""

    @property
    def root(self) -> Path:
        """The folder as the user calls it."""

    def look(self, folder: Path) -> Entries:
        """Return what a folder holds, sorted by name.

        Raises
        ------
        DataError
            If it cannot be listed.
        """

    def files(self, class_folder: Path, ignored: list[str], unlistable: list[OSError]) -> Iterator[tuple[str, str]]:
        """Yield the location of every file below a class folder, and its path relative to the root.

        Clutter is added to `ignored`, and errors of folders that cannot be listed to `unlistable`.
        """


def list_tree(tree: Tree) -> Listing:
    """Return all files in the class folders except those that systems leave there, without opening any.

    Raises
    ------
    DataError
        If there are no class folders, they can be read in two ways, or the name of one is not UTF-8.
    """
    layout = find_layout(tree.root, tree.look)
    rows: list[Row] = []
    classes: set[str] = set()
    for class_folder, name, split in layout.classes:
        if not is_utf8(name):
            raise DataError(f"{tree.root}: the name of the class folder {name!r} is not UTF-8; rename it.")
        before = len(layout.ignored)
        unlistable: list[OSError] = []
        found = [_row(path, relative, name, split) for path, relative in tree.files(class_folder, layout.ignored, unlistable)]
        found += [_unlistable(tree.root, error, name, split) for error in unlistable]
        if found or len(layout.ignored) == before:  # a folder of nothing but files of other systems is no class
            classes.add(name)
        rows += found
    notes = [*layout.notes, *([describe_ignored(tree.root, layout.ignored)] if layout.ignored else [])]
    return Listing(tuple(rows), tuple(sorted(classes)), tuple(notes), tuple(layout.warnings))


def _row(path: str, relative: str, class_name: str, split: SplitName | None) -> Row:
    if is_utf8(path):
        return Row(path, relative, class_name, split)
    named = readable(path)
    return Row(named, named, class_name, split).reject("unreadable", "unreadable: the name of the file is not UTF-8")


def _unlistable(root: Path, error: OSError, class_name: str, split: SplitName | None) -> Row:
    path = Path(error.filename)
    row = _row(path.as_posix(), path.relative_to(root).as_posix(), class_name, split)
    return row.reject("unreadable", f"unreadable: the folder cannot be listed ({error.strerror}); allow reading it")
