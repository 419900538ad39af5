"""Find the class folders of a folder of images, and the splits that they are in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from itm.core.errors import DataError
from itm.core.labels import clean
from itm.core.text import join_names, pluralize
from itm.core.types import SplitName
from itm.data.local_files import is_picture
from itm.data.rows import read_split

DEEPEST = 5  # folders that only hold one folder; links can form a ring
MOST_NAMES = 4  # in a message


@dataclass(frozen=True)
class Entries:
    """What a folder holds; `ignored` are names of hidden files and files of other systems."""

    path: Path
    folders: tuple[Path, ...]
    files: tuple[str, ...]
    ignored: tuple[str, ...]

    @property
    def is_nested(self) -> bool:
        """Return whether its images can only be in sub-folders."""
        return bool(self.folders) and not self.has_pictures

    @property
    def has_pictures(self) -> bool:
        return any(map(is_picture, self.files))

    @property
    def names(self) -> set[str]:
        return {clean(path.name) for path in self.folders}


@dataclass
class Layout:
    """The class folders, and what was assumed and ignored to find them. `look` returns what a folder holds."""

    look: "Callable[[Path], Entries]"
    classes: list[tuple[Path, str, SplitName | None]] = field(default_factory=list)  # with the name of the class
    ignored: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    seen: dict[Path, Entries] = field(default_factory=dict)

    def look_inside(self, folder: Path) -> Entries:
        """Return what a folder holds, or nothing: a folder that cannot be listed is rejected later, by name."""
        if folder not in self.seen:
            try:
                self.seen[folder] = self.look(folder)
            except DataError:
                self.seen[folder] = Entries(folder, (), (), ())
        return self.seen[folder]


def find_layout(folder: Path, look: Callable[[Path], Entries]) -> Layout:
    """Find the class folders below `folder`, which may be in split folders, and may have one folder around them.

    `look` returns what a folder holds; the folders may be those of an archive.

    Raises
    ------
    DataError
        If there are no class folders, or sub-folders look like splits and classes at once.
    """
    layout = Layout(look)
    top = _unwrap(look(folder), layout, keep_splits=True)
    if not top.folders:
        raise _without_classes(top)
    parts = {path: layout.look_inside(path) for path in top.folders}
    splits = {path: split for path in parts if (split := read_split(path.name))}
    if splits and _are_splits(top, parts, splits):
        _add_splits(top, parts, splits, layout)
    elif all(_is_split_class(part) for part in parts.values()):
        layout.notes.append(f"{top.path}: each class folder holds splits; the images keep them")
        for path, part in parts.items():
            layout.classes += [(child, path.name, read_split(child.name)) for child in part.folders]
    else:
        layout.classes += [(path, path.name, None) for path in parts]
        _warn_of_nested(top, parts, layout)
    _count_files(top, layout)
    layout.seen.clear()  # the names of all files
    return layout


def _unwrap(entries: Entries, layout: Layout, keep_splits: bool = False) -> Entries:
    """Go down while only one folder can have images, and it only holds folders: these are the classes."""
    for _ in range(DEEPEST):
        parts = [layout.look_inside(path) for path in entries.folders]
        others = [part for part in parts if part.files and not part.folders and not part.has_pictures]
        inner = next((part for part in parts if part not in others), None)
        if inner is None or len(parts) != len(others) + 1 or entries.has_pictures or not inner.is_nested:
            break
        if keep_splits and read_split(inner.path.name):
            break
        layout.notes.append(f"{entries.path}: reading its only folder with images, {inner.path.name}")
        if others:
            names = join_names([part.path.name for part in others], MOST_NAMES)
            layout.warnings.append(f"{entries.path}: ignored folders without images: {names}")
        layout.ignored += entries.ignored
        entries = inner
    return entries


def _without_classes(entries: Entries) -> DataError:
    found = f"has {pluralize(len(entries.files), 'file')} but no class folders" if entries.files else "is empty"
    tables = [entries.path / name for name in entries.files if name.endswith((".csv", ".parquet"))]
    hint = f", or write {tables[0].suffix[1:]}:{tables[0]} if that is an index of the images" if tables else ""
    return DataError(
        f"{entries.path}: {found}; put the images of each class into a sub-folder with the name of the class{hint}."
    )


def _is_split_class(part: Entries) -> bool:
    """Return whether a class folder holds its own splits."""
    splits = {read_split(path.name) for path in part.folders}
    return part.is_nested and "train" in splits and None not in splits and len(splits) > 1


def _are_splits(top: Entries, parts: dict[Path, Entries], splits: dict[Path, SplitName]) -> bool:
    """Return whether folders with names of splits are splits and not classes. Their class folders decide it."""
    names = join_names([path.name for path in splits], MOST_NAMES)
    others = [path.name for path in parts if path not in splits]
    trained = [parts[path] for path, split in splits.items() if split == "train"]
    if trained and not others:
        return True
    if not all(part.is_nested for part in trained or [parts[path] for path in splits]):
        return False
    if trained and len(splits) > len(trained):
        return True
    if trained:
        raise DataError(
            f"{top.path}: {names} looks like a split, since it only holds folders, but {join_names(others, MOST_NAMES)} "
            f"does not; name the folder of the classes, such as folder:{trained[0].path}, or give every split a name such as "
            "train, val or test."
        )
    shared = set.intersection(*(parts[path].names for path in splits)) if len(splits) > 1 else set()
    if shared:
        raise DataError(
            f"{top.path}: {names} look like splits, since all of them hold {join_names(sorted(shared), MOST_NAMES)}, but there "
            "is no train; name one folder, or rename the one with the training images to train."
        )
    return False


def _add_splits(top: Entries, parts: dict[Path, Entries], splits: dict[Path, SplitName], layout: Layout) -> None:
    if renamed := [f"{path.name} as {split}" for path, split in splits.items() if path.name != split]:
        layout.notes.append(f"{top.path}: reading as splits: {join_names(renamed, MOST_NAMES)}")
    if others := [path.name for path in parts if path not in splits]:
        layout.warnings.append(
            f"{top.path}: reading {join_names([path.name for path in splits], MOST_NAMES)} as splits; ignored the other "
            f"folder{'s' if others[1:] else ''}, {join_names(others, MOST_NAMES)}"
        )
    for path, split in splits.items():
        part = _unwrap(parts[path], layout)
        if not part.folders and split == "train":
            raise _without_classes(part)
        layout.classes += [(child, child.name, split) for child in part.folders]
        _count_files(part, layout)


def _warn_of_nested(top: Entries, parts: dict[Path, Entries], layout: Layout) -> None:
    """Say that classes have their images in sub-folders, which may be the classes that are meant."""
    nested = [part for part in parts.values() if part.is_nested and len(part.folders) > 1]
    if nested:
        inner = join_names(sorted(set.union(*(part.names for part in nested))), MOST_NAMES)
        outer = join_names([part.path.name for part in nested], MOST_NAMES)
        layout.warnings.append(
            f"{top.path}: {outer} only hold{'s' * (len(nested) == 1)} folders ({inner}); each is read as one class. "
            "If the inner folders are the classes, move them up"
        )


def _count_files(entries: Entries, layout: Layout) -> None:
    layout.ignored += entries.ignored
    if entries.files:
        layout.warnings.append(f"{entries.path}: ignored {pluralize(len(entries.files), 'file')} outside the class folders")


def describe_ignored(folder: Path, ignored: Sequence[str]) -> str:
    """Return what was ignored in one sentence."""
    names = join_names(sorted(set(ignored)), MOST_NAMES)
    return f"{folder}: ignored {pluralize(len(ignored), 'hidden file')} or files of other systems: {names}"
