"""The sources `zip:PATH` and `tar:PATH`: class folders in an archive, as `folder:PATH` reads them on a disk."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, ClassVar, Self

from itm.core.errors import DataError
from itm.data.archives.members import split
from itm.data.archives.opened import open_archive, open_member
from itm.data.archives.tar_file import TarFile
from itm.data.archives.tree import MemberTree
from itm.data.archives.unpacked import readable_tar
from itm.data.local_files import expand, is_file, is_folder
from itm.data.rows import Listing
from itm.data.sources.base import OptionValue, Source, register_source
from itm.data.sources.clutter import is_clutter
from itm.data.sources.tree import list_tree
from itm.store.layout import Store

_NAME = re.compile(r"(.+?)\.(zip|tar|tgz|tbz2?|txz|tar\.(?:gz|bz2|xz))", re.IGNORECASE)


@dataclass(frozen=True)
class _Archive(Source):
    has_containers: ClassVar[bool] = True

    path: Path

    @classmethod
    def parse(cls, place: str, options: Mapping[str, OptionValue]) -> Self:  # noqa: ARG003
        return cls(expand(place))

    @property
    def default_name(self) -> str:
        match = _NAME.fullmatch(self.path.name)
        return match[1] if match else self.path.name

    @property
    def local_place(self) -> Path:
        return self.path

    def fingerprint(self) -> Mapping[str, float]:
        self._check()
        return {self.path.as_posix(): self.path.stat().st_mtime}

    def local_file(self, location: str) -> str:
        return split(location)[0]

    def open(self, location: str) -> BinaryIO:
        return open_member(location)

    def list(self, store: Store) -> Listing:
        """List the images, with a rejected row for each member that may not be used."""
        self._check()
        path = self._readable(store)
        archive = open_archive(path)
        if isinstance(archive, TarFile) and archive.damage:
            raise DataError(f"{self.path}: {archive.damage}; copy or download it again.")
        rejected = [one.row(path.as_posix()) for one in archive.rejected if not any(map(_is_clutter, one.name.split("/")))]
        if not archive.names and rejected:
            first = f"{rejected[0].relative}: {rejected[0].reason}"
            raise DataError(f"{self.path}: none of its {len(rejected)} members can be used; first: {first}.")
        try:
            listing = list_tree(MemberTree(self.path, path, archive))
        except DataError as error:
            raise DataError(f"{error} To change the folders of an archive, unpack it and write folder:PATH.") from error
        return replace(listing, rows=(*listing.rows, *rejected))

    def _readable(self, store: Store) -> Path:  # noqa: ARG002
        return self.path

    def _check(self) -> None:
        if is_folder(self.path):
            raise DataError(f"{self.path}: is a folder, not an archive; write folder:{self.path}.")
        if not is_file(self.path):
            raise DataError(f"{self.path}: no such file; check the path, which is relative to {Path.cwd()}.")


@register_source
@dataclass(frozen=True)
class Zip(_Archive):
    """A zip file."""

    scheme: ClassVar[str] = "zip"
    usage: ClassVar[str] = "zip:PATH"


@register_source
@dataclass(frozen=True)
class Tar(_Archive):
    """A tar file, which may be compressed by gzip, bzip2 or xz."""

    scheme: ClassVar[str] = "tar"
    usage: ClassVar[str] = "tar:PATH"

    def _readable(self, store: Store) -> Path:
        return readable_tar(self.path, store)


def archive_source(path: Path) -> type[_Archive] | None:
    """Return the source of a file with the name of an archive."""
    match = _NAME.fullmatch(path.name)
    return None if match is None else Zip if match[2].lower() == "zip" else Tar


def _is_clutter(name: str) -> bool:
    return name != ".." and (is_clutter(name, folder=True) or is_clutter(name))
