"""The source `folder:PATH`: a sub-folder per class, or folders of images and masks, each possibly in folders of splits."""

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from itm.core.errors import DataError
from itm.data.local_files import expand, is_file, is_folder
from itm.data.rows import Listing
from itm.data.sources.base import OptionValue, Source, register_source
from itm.data.sources.clutter import is_clutter
from itm.data.sources.detection import refuse_detection
from itm.data.sources.index_columns import text_options
from itm.data.sources.layout import Entries
from itm.data.sources.legends import OPTIONS, legend_file
from itm.data.sources.mask_folders import MaskFolders, find_mask_folders
from itm.data.sources.tree import list_tree
from itm.kinds.classification import Classification
from itm.kinds.segmentation import Segmentation
from itm.store.layout import Store


@register_source
@dataclass(frozen=True)
class Folder(Source):
    """A folder on this machine. With folders of images and of masks, the task is segmentation, unless `task` says otherwise.

    `ignore` and `classes` say what the values of masks mean, and `patches` how many patches of an image are used.
    """

    scheme: ClassVar[str] = "folder"
    usage: ClassVar[str] = "folder:PATH?task=TASK&ignore=VALUES&classes=NAMES&patches=64"
    options: ClassVar[Mapping[str, type[OptionValue]]] = {"task": str, **OPTIONS}

    path: Path
    task: str | None = None
    ignore: str | None = None
    classes: str | None = None
    patches: str | None = None

    @classmethod
    def parse(cls, place: str, options: Mapping[str, OptionValue]) -> Self:
        found = cls(expand(place), **text_options(f"{cls.scheme}:{place}", options))
        if found.task not in (None, Classification.name, Segmentation.name):
            raise DataError(f"{cls.scheme}:{place}: folders give no targets for {found.task}; use an index, csv:PATH.")
        return found

    @property
    def kind(self) -> str:
        return Segmentation.name if self._masks() else Classification.name

    @property
    def default_name(self) -> str:
        return (self.path if self.path.name not in ("", "..") else self.path.resolve()).name or self.scheme

    @property
    def local_place(self) -> Path:
        return self.path

    @property
    def list_files(self) -> Collection[str]:
        masks = self._masks()
        return [path] if masks and (path := legend_file(masks.legend_folders)) else []

    def list(self, store: Store) -> Listing:  # noqa: ARG002
        if masks := self._masks():
            return masks.list({name: getattr(self, name) for name in OPTIONS})
        where = f"{self.scheme}:{self.path}"
        if self.task == Segmentation.name or any(getattr(self, name) for name in OPTIONS):
            raise DataError(f"{where}: there are no folders images and masks, which segmentation needs; see its options.")
        if self.task is None:
            refuse_detection(self.path)
        return list_folder(self.path)

    def fingerprint(self) -> Mapping[str, float]:
        masks = self._masks()
        found = [*map(str, masks.files()), *self.list_files] if masks else [row.path for row in list_folder(self.path).rows]
        return {path: Path(path).stat().st_mtime for path in found if is_file(path)}

    def _masks(self) -> MaskFolders | None:
        return None if self.task == Classification.name else find_mask_folders(self.path)


def list_folder(folder: Path) -> Listing:
    """Return all files in the class folders except those that systems leave there, without opening any.

    Raises
    ------
    DataError
        If the folder is missing or empty, has images but no class folders, or can be read in two ways.
    """
    if is_file(folder):
        raise DataError(
            f"{folder}: is a file, not a folder; name the folder that has one sub-folder per class, "
            f"or write csv:PATH or parquet:PATH for an index of images."
        )
    if not is_folder(folder):
        raise DataError(f"{folder}: no such folder; check the path, which is relative to {Path.cwd()}.")
    return list_tree(LocalTree(folder))


@dataclass(frozen=True)
class LocalTree:
    """Folders of this machine. Links are followed, but no folder is visited twice: links can form a cycle."""

    root: Path

    def look(self, folder: Path) -> Entries:
        folders: list[Path] = []
        files: list[str] = []
        ignored: list[str] = []
        try:
            with os.scandir(folder) as found:
                for entry in sorted(found, key=lambda entry: entry.name):
                    a_folder = _is_folder(entry)
                    if is_clutter(entry.name, a_folder):
                        ignored.append(entry.name)
                    elif a_folder:
                        folders.append(folder / entry.name)
                    else:
                        files.append(entry.name)
        except OSError as error:
            raise DataError(
                f"{error.filename}: the folder cannot be listed ({error.strerror}); allow reading it or remove it."
            ) from error
        return Entries(folder, tuple(folders), tuple(files), tuple(ignored))

    def files(self, class_folder: Path, ignored: list[str], unlistable: list[OSError]) -> Iterator[tuple[str, str]]:
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
            path, relative = Path(where).as_posix(), Path(where).relative_to(self.root).as_posix()
            yield from ((f"{path}/{name}", f"{relative}/{name}") for name in images)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself; as a file it is rejected by name
        return False
