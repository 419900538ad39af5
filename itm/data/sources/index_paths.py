"""Find the images that an index names, as far as it may name them, and say why one is not found."""

import os
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from itm.data.local_files import expand, is_file, is_folder
from itm.data.sources.clutter import is_clutter

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_FOREIGN = re.compile(rf"{_ADDRESS.pattern}|[a-z]:[\\/]|\\\\\w", re.IGNORECASE)  # an address, or an absolute path of Windows
MOST_FOLDERS = 200  # to look into for a file that is missing


@dataclass
class Places:
    """Finds images below `root`, or below the `folder` of the index if there is none.

    An index may come from someone else, so no other image is used. Links inside the root may lead out. `changes` counts the
    paths that were read in another spelling.
    """

    folder: Path
    root: Path | None
    changes: Counter[str] = field(default_factory=Counter)

    @property
    def base(self) -> Path:
        return self.root or self.folder

    def locate(self, inside: str) -> str:
        """Return the location of an image from its path relative to the base."""
        base = self.base.as_posix()
        return inside if base == "." else f"{base.rstrip('/')}/{inside}"

    def find(self, given: str) -> str | None:
        """Return the path of an image relative to the base, or None if it is outside.

        A path is relative to the base. It is relative to the folder of the index if it begins with ".." or only exists there.
        """
        given = unquote(given[len("file://") :]) if given.lower().startswith("file:///") else given
        given = str(expand(given)) if given.startswith("~/") else given
        if _is_foreign(given):
            return None
        if given.isascii() and given == given.strip() and "\\" not in given:
            return self._inside(given)
        plain = given.strip().replace("\\", "/")
        spellings = (
            (given, ""),
            (given.strip(), "without blanks at the ends"),
            (plain, "with slashes instead of backslashes"),
            (unicodedata.normalize("NFC", plain), "in another Unicode form"),
            (unicodedata.normalize("NFD", plain), "in another Unicode form"),
        )
        for spelling, change in spellings:
            inside = self._inside(spelling)
            if inside is not None and os.path.lexists(self.base / inside):
                self.changes[change] += 1
                return inside
        return self._inside(plain)

    def _inside(self, given: str) -> str | None:
        path = os.path.normpath(given)  # plain text: objects of paths are slow for a million rows
        if path[:1] != "/" and ".." not in path.split("/") and not self._only_beside_index(path):
            return path
        home = os.path.normpath(self.base.absolute())
        path = os.path.normpath(self.folder.absolute() / path)
        return os.path.relpath(path, home) if path == home or path.startswith(home.rstrip("/") + "/") else None

    def _only_beside_index(self, path: str) -> bool:
        return self.root is not None and not is_file(self.root / path) and is_file(self.folder / path)

    def absolute(self, given: str) -> str:
        """Return the absolute path of an image outside the base, or nothing if it is no path of this system."""
        return "" if _is_foreign(given) else os.path.normpath(self.folder.absolute() / given)

    def why_outside(self, given: str) -> str:
        """Return why an image is not used."""
        if _ADDRESS.match(given):
            return "an address, not a file; download the image and write its path"
        if _is_foreign(given):
            return "an absolute path of Windows; write paths relative to the folder of the index"
        return f"outside {'the root ' + str(self.root) if self.root else 'the folder of the index'}"

    def likely_cause(self, relative: str) -> str:
        """Return why there is probably no such file in the base, or where it was looked for."""
        parts = PurePosixPath(relative).parts
        if other := self._in_other_case(parts):
            return f"the capitals differ: there is {other!r}"
        if other := self._with_other_suffix(relative):
            return f"the suffix differs: there is {other!r}"
        if tail := self.tail(relative):
            root = f", or write ?root={as_option(self.base.parent)}" if is_file(self.base.parent / relative) else ""
            return tail + root
        for parent in (*self.base.absolute().parents[:3], *self._folders(self.base)):
            if is_file(parent / relative):
                return f"it is in {parent}; write ?root={as_option(parent)}"
        return f"looked for {(self.base / relative).absolute()}"

    def tail(self, given: str) -> str:
        """Return which end of a path is a file in the base, with what to leave out, or nothing."""
        parts = PurePosixPath(given.replace("\\", "/")).parts
        for number in range(1, len(parts)):
            if is_file(self.base.joinpath(*parts[number:])):
                before = str(PurePosixPath(*parts[:number]))
                return f"there is {'/'.join(parts[number:])!r}; leave out {before!r}"
        return ""

    def _in_other_case(self, parts: tuple[str, ...]) -> str:
        found: list[str] = []
        for part in parts:
            names = _names(self.base.joinpath(*found))
            same = part if part in names else next((name for name in names if name.casefold() == part.casefold()), None)
            if same is None:
                return ""
            found.append(same)
        return "" if tuple(found) == parts else "/".join(found)  # a link that leads nowhere

    def _with_other_suffix(self, relative: str) -> str:
        path = PurePosixPath(relative)
        for stem in dict.fromkeys((path.name, path.stem)):
            for name in _names(self.base / path.parent):
                if PurePosixPath(name).stem == stem:
                    return (path.parent / name).as_posix()
        return ""

    def _folders(self, folder: Path) -> list[Path]:
        return [path for name in _names(folder)[:MOST_FOLDERS] if is_folder(path := folder / name)]


def as_option(path: Path) -> str:
    """Return a path as the value of an option: marks that separate options are written as numbers."""
    return str(path).replace("%", "%25").replace("&", "%26").replace("?", "%3F")


def _is_foreign(given: str) -> bool:
    """Return whether a text is an address, or an absolute path of Windows."""
    return bool(_FOREIGN.match(given))


def is_left_by_system(relative: str) -> bool:
    """Return whether a path leads to a file that a system has left, such as a thumbnail in `@eaDir`."""
    *folders, name = relative.split("/")
    if any(is_clutter(folder, folder=True) and not folder.startswith(".") for folder in folders):
        return True
    return name.startswith("._") or (not name.startswith(".") and is_clutter(name))  # other hidden files may be meant


def _names(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError:
        return []
