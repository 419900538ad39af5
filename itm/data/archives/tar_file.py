"""Tar files: the place of each member is listed once, and its bytes are read from there."""

import posixpath
import stat
import tarfile
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Self

from itm.core.errors import DataError, cause
from itm.data.archives.members import Rejected, plain, problem

REAL_SIZE = "itm.size"  # a header of our own: the size of a member that was too large to be unpacked
DAMAGED_HEADER = (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError)  # type: ignore[attr-defined]  # not documented


class StrictTarInfo(tarfile.TarInfo):
    """A header that is damaged or cut is an error. `tarfile` takes it for the end of the file."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            return super().frombuf(buf, encoding, errors)
        except DAMAGED_HEADER as error:
            raise tarfile.ReadError(str(error)) from error


@dataclass
class TarFile:
    """The members of a tar file without compression. `damage` says why there may be more members than could be listed."""

    path: Path
    places: dict[str, tuple[int, int]] = field(default_factory=dict)  # start and size of each member
    folders: list[str] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    damage: str = ""

    @property
    def names(self) -> list[str]:
        return [*self.places]

    def open(self, name: str) -> BinaryIO:
        if name not in self.places:
            raise FileNotFoundError(2, "No such file in the archive", f"{self.path}!{name}")
        start, size = self.places[name]
        with self.path.open("rb") as stream:
            stream.seek(start)
            return BytesIO(stream.read(size))


def read_tar(path: Path) -> TarFile:
    """List the members of a tar file. Links to other members, which may be links too, are read as these.

    Raises
    ------
    DataError
        If it is no tar file or cannot be read.
    """
    found, links = TarFile(path), dict[str, str]()
    try:
        with tarfile.open(path, "r:", tarinfo=StrictTarInfo) as tar:
            while (member := _next(tar, found)) is not None:
                _add(found, member, links)
    except tarfile.TarError as error:
        raise DataError(f"{path}: is no tar file or is damaged ({cause(error)}); copy or download it again.") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({cause(error)}); check the path and its permissions.") from error
    _follow(links, found)
    return found


def _follow(links: dict[str, str], found: TarFile) -> None:
    """Add the members that links lead to, and reject the links that lead to none."""
    for first in [*links]:
        chain, name = dict[str, str](), first
        while name in links:
            target = links.pop(name)
            chain[name] = target
            name = target
        if name in found.places:
            found.places |= dict.fromkeys(chain, found.places[name])
        else:
            found.rejected += [
                Rejected(link, "outside the folder", f"a link to {target}, which is no image of the archive")
                for link, target in chain.items()
            ]


def _next(tar: tarfile.TarFile, found: TarFile) -> tarfile.TarInfo | None:
    """Return the next member, or None after the last one that can be read."""
    try:
        member = tar.next()
    except tarfile.ReadError as error:
        if not (found.places or found.folders or found.rejected):
            raise
        found.damage = f"it cannot be read to its end ({cause(error)})"
        return None
    tar.members.clear()  # type: ignore[attr-defined]  # otherwise a million objects stay in memory
    return member


def _add(found: TarFile, member: tarfile.TarInfo, links: dict[str, str]) -> None:
    name = plain(member.name)
    if member.isdir():
        if name and problem(name, 0) is None:
            found.folders.append(name.rstrip("/"))
        return
    declared = member.pax_headers.get(REAL_SIZE, "")
    size = int(declared) if declared.isdecimal() else member.size
    if reason := problem(name, size):
        found.rejected.append(Rejected(name, *reason))
    elif member.issym() or member.islnk():
        base = posixpath.dirname(name) if member.issym() else ""
        links[name] = posixpath.normpath(posixpath.join(base, plain(member.linkname)))
    elif not member.isreg() or member.issparse():
        kind = "a sparse file" if member.issparse() else "no regular file"
        found.rejected.append(Rejected(name, "unsupported", f"{kind}; pack the image as a plain file"))
    else:
        if name in found.places:
            found.rejected.append(replaced(name))
            del found.places[name]
        found.places[name] = member.offset_data, member.size


def replaced(name: str) -> Rejected:
    return Rejected(name, "duplicate", "a later member of the archive has the same name and is used")


def as_member(name: str, size: int) -> tarfile.TarInfo:
    """Return the header of a regular member that depends on nothing else."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, stat.S_IRUSR | stat.S_IWUSR
    return member
