"""A source of another package: `zipped:PATH`, the images of a zip file with one folder per class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import BinaryIO, ClassVar, Self
from zipfile import BadZipFile, ZipFile

from itm.core.errors import DataError
from itm.data.rows import Listing, Row
from itm.data.sources.base import OptionValue, Source, register_source
from itm.store.layout import Store


@register_source
@dataclass(frozen=True)
class Zipped(Source):
    """Images are located as `PATH!MEMBER`. `groups` takes the first characters of each file name as its group."""

    scheme: ClassVar[str] = "zipped"
    usage: ClassVar[str] = "zipped:PATH?groups=CHARACTERS"
    options: ClassVar[Mapping[str, type[OptionValue]]] = {"groups": int}

    path: Path
    groups: int = 0

    @classmethod
    def parse(cls, place: str, options: Mapping[str, OptionValue]) -> Self:
        return cls(Path(place), int(options.get("groups", 0)))

    @property
    def default_name(self) -> str:
        return self.path.stem

    def list(self, store: Store) -> Listing:  # noqa: ARG002
        return Listing(tuple(map(self._row, self._members())))

    def fingerprint(self) -> Mapping[str, float]:
        time = self.path.stat().st_mtime
        return {self._location(member): time for member in self._members()}

    def is_available(self, location: str) -> bool:
        return Path(location.partition("!")[0]).is_file()

    def open(self, location: str) -> BinaryIO:
        path, _, member = location.partition("!")
        with ZipFile(path) as archive:
            return BytesIO(archive.read(member))

    def _members(self) -> Sequence[str]:
        try:
            with ZipFile(self.path) as archive:
                return sorted(name for name in archive.namelist() if not name.endswith("/"))
        except (OSError, BadZipFile) as error:
            raise DataError(f"{self.path}: cannot be read as a zip file ({error}); check the path.") from error

    def _row(self, member: str) -> Row:
        path = PurePosixPath(member)
        return Row(self._location(member), member, path.parts[0], group=path.name[: self.groups] or None)

    def _location(self, member: str) -> str:
        return f"{self.path.as_posix()}!{member}"
