"""The folders of an archive, as its members name them."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from itm.data.archives.members import Archive, join
from itm.data.sources.clutter import is_clutter
from itm.data.sources.layout import Entries


class MemberTree:
    """The folders and files of an archive. `path` is the file that has the members, `root` what the user calls it."""

    def __init__(self, root: Path, path: Path, archive: Archive) -> None:
        self.root, self._path = root, path
        self._files: dict[str, list[str]] = {"": []}
        self._folders: dict[str, set[str]] = {"": set()}
        for name in archive.folders:
            self._add_folder(name)
        for name in archive.names:
            folder, _, file = name.rpartition("/")
            self._add_folder(folder)
            self._files[folder].append(file)

    def look(self, folder: Path) -> Entries:
        inside = self._inside(folder)
        folders, files = sorted(self._folders[inside]), sorted(self._files[inside])
        ignored = [*(name for name in folders if is_clutter(name, folder=True)), *filter(is_clutter, files)]
        kept = tuple(folder / name for name in folders if not is_clutter(name, folder=True))
        return Entries(folder, kept, tuple(name for name in files if not is_clutter(name)), tuple(ignored))

    def files(self, class_folder: Path, ignored: list[str], unlistable: list[OSError]) -> Iterator[tuple[str, str]]:
        entries = self.look(class_folder)
        ignored += entries.ignored
        inside = self._inside(class_folder)
        for name in entries.files:
            yield join(self._path.as_posix(), f"{inside}/{name}"), f"{inside}/{name}"
        for folder in entries.folders:
            yield from self.files(folder, ignored, unlistable)

    def _add_folder(self, name: str) -> None:
        while name not in self._folders:
            self._folders[name], self._files[name] = set(), []
            outer, _, inner = name.rpartition("/")
            if outer in self._folders:
                self._folders[outer].add(inner)
                return
            self._add_folder(outer)
            self._folders[outer].add(inner)

    def _inside(self, folder: Path) -> str:
        inside = PurePosixPath(folder).relative_to(self.root).as_posix()
        return "" if inside == "." else inside
