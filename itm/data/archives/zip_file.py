"""Zip files: their directory is read once, and each member is unpacked in memory when it is opened."""

import stat
import zlib
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import BinaryIO
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_LZMA, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from itm.core.errors import DataError, cause
from itm.data.archives.members import Rejected, plain, problem
from itm.data.archives.tar_file import replaced

ENCRYPTED, UTF8 = 0x1, 0x800  # bits of a member
MARKS = (b"PK\x03\x04", b"PK\x05\x06")  # of a zip file with members, and of one without
METHODS = (ZIP_STORED, ZIP_DEFLATED, ZIP_BZIP2, ZIP_LZMA)


class ZippedFile:
    """The members of a zip file. The file stays open; threads take turns to read it.

    Raises
    ------
    DataError
        If it is no zip file or cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rejected: list[Rejected] = []
        self.folders: list[str] = []
        self._members: dict[str, ZipInfo] = {}
        try:
            self._file = ZipFile(path)
        except (BadZipFile, NotImplementedError, ValueError) as error:
            raise DataError(f"{path}: is no zip file or is damaged ({cause(error)}); copy or download it again.") from error
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({cause(error)}); check the path and its permissions.") from error
        for member in self._file.infolist():
            self._add(member)

    @cached_property
    def names(self) -> list[str]:
        return [*self._members]

    def open(self, name: str) -> BinaryIO:
        if name not in self._members:
            raise FileNotFoundError(2, "No such file in the archive", f"{self.path}!{name}")
        try:
            return BytesIO(self._file.read(self._members[name]))
        except (BadZipFile, EOFError, zlib.error) as error:
            raise OSError(f"damaged in the archive: {cause(error)}; copy or download the archive again") from error

    def _add(self, member: ZipInfo) -> None:
        name = plain(_name(member))
        if not name or name.endswith("/"):
            if name and problem(name, 0) is None:
                self.folders.append(name.rstrip("/"))
            return
        reason = problem(name, member.file_size)
        if reason is None and stat.S_ISLNK(member.external_attr >> 16):
            reason = "outside the folder", "a link; zip the image itself"
        if reason is None and member.flag_bits & ENCRYPTED:
            reason = "unreadable", "unreadable: encrypted; unpack the archive with its password and name the folder"
        if reason is None and member.compress_type not in METHODS:
            method = f"the method {member.compress_type}"
            reason = "unsupported", f"unsupported: compressed by {method}; unpack the archive and name the folder"
        if reason:
            self.rejected.append(Rejected(name, *reason))
            return
        if name in self._members:
            self.rejected.append(replaced(name))
            del self._members[name]
        self._members[name] = member


def is_zip(path: Path) -> bool:
    """Return whether a file begins like a zip file. A tar file may end with one."""
    with path.open("rb") as stream:
        return stream.read(4) in MARKS


def _name(member: ZipInfo) -> str:
    """Return the name of a member. Many programs write UTF-8 without saying so, and zipfile then reads cp437."""
    if member.flag_bits & UTF8 or member.filename.isascii():
        return member.filename
    try:
        return member.filename.encode("cp437").decode()
    except UnicodeError:
        return member.filename
