"""Members of archives: which may be used, and how an image in an archive is named.

The location of an image is the path of its archive, `!`, and the name of the member: `petals.zip!rose/1.png`.
"""

import re
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from PIL import Image

from itm.data.local_files import is_file, is_utf8, readable
from itm.data.rows import Rejection, Row

MARK = "!"  # between the path of an archive and the name of a member
LARGEST = 6 * (Image.MAX_IMAGE_PIXELS or 2**27)  # bytes: the most pixels that are decoded, at 16 bits and three channels
_DRIVE = re.compile(r"[a-z]:", re.IGNORECASE)


@dataclass(frozen=True)
class Rejected:
    """A member that is not used."""

    name: str
    rejection: Rejection
    reason: str

    def row(self, archive: str) -> Row:
        name = self.name if is_utf8(self.name) else readable(self.name)
        return Row(join(archive, name), name, "").reject(self.rejection, self.reason)


class Archive(Protocol):
    """The readable members of an archive, and those that are rejected."""

    @property
    def names(self) -> list[str]:
        """The names of usable members in the order of the archive."""

    @property
    def folders(self) -> list[str]:
        """The names of folders that have a member of their own."""

    @property
    def rejected(self) -> list[Rejected]: ...

    def open(self, name: str) -> BinaryIO:
        """Return a stream in memory.

        Raises
        ------
        OSError
            If there is no such member, or it is damaged.
        """


def join(archive: str, name: str) -> str:
    """Return the location of a member."""
    return f"{archive}{MARK}{name}"


def split(location: str) -> tuple[str, str]:
    """Return the path of the archive and the name of the member; both may hold the mark."""
    if location.count(MARK) > 1:
        for match in re.finditer(MARK, location):
            if is_file(location[: match.start()]):
                return location[: match.start()], location[match.end() :]
    archive, _, name = location.partition(MARK)
    return archive, name


def is_member(location: str) -> bool:
    """Return whether a location names a member of an archive. The path of a file may hold the mark too."""
    return MARK in location and not is_file(location)


def plain(name: str) -> str:
    r"""Return the name of a member with slashes, without parts that are empty or `.`.

    A slash in front stays, so the name is still absolute, and one at the end, which marks a folder.

    >>> [plain(name) for name in ("./rose/1.png", r"rose\1.png", "rose/a\\b.png", "a/.//rose/", "//rose", "./")]
    ['rose/1.png', 'rose/1.png', 'rose/a\\b.png', 'a/rose/', '/rose', '']
    """
    name = name.replace("\\", "/") if "/" not in name else name
    parts = "/".join(part for part in name.split("/") if part not in ("", "."))
    return "/" * name.startswith("/") + parts + "/" * (parts != "" and name.endswith("/"))


def problem(name: str, size: int) -> tuple[Rejection, str] | None:
    """Return why a member with this name and size is not used.

    >>> problem("../rose.png", 1)
    ('outside the folder', 'its name leads out of the archive')
    """
    if name.startswith("/") or _DRIVE.match(name):
        return "outside the folder", "its name is an absolute path"
    if ".." in name.split("/"):
        return "outside the folder", "its name leads out of the archive"
    if size > LARGEST:
        return "too large", f"too large: {size:,} bytes; the limit of an image is {LARGEST:,}; make the image smaller"
    return None
