"""The base class of sources of images, and the decorator that registers a source."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import BinaryIO, ClassVar, Self, TypeVar

from itm.data.local_files import is_file
from itm.data.pixels import open_file
from itm.data.rows import Listing, Row
from itm.store.layout import Store

OptionValue = str | int | float
S = TypeVar("S", bound="type[Source]")


class Source(ABC):
    """Where the images of a data set come from, written as `SCHEME:PLACE?OPTION=VALUE`.

    A source is pickled and sent to worker processes. Help and error messages show its `usage`.
    """

    scheme: ClassVar[str]
    usage: ClassVar[str]
    options: ClassVar[Mapping[str, type[OptionValue]]] = {}  # the type of each option, by name
    has_containers: ClassVar[bool] = False  # whether the files of `fingerprint` hold many images each, such as archives
    has_images: ClassVar[bool] = True  # otherwise `list` returns complete rows, and nothing is opened

    @classmethod
    @abstractmethod
    def parse(cls, place: str, options: Mapping[str, OptionValue]) -> Self:
        """Return the source at `place`. `options` have known names and the right types.

        Raises
        ------
        DataError
            If the place or a value is wrong.
        """

    @property
    def kind(self) -> str:
        """Return the name of the task kind of the targets."""
        return "classification"

    @property
    @abstractmethod
    def default_name(self) -> str:
        """Return the name of the data set if the user gives none."""

    @abstractmethod
    def list(self, store: Store) -> Listing:
        """Return all images with their targets, without opening any. A source that writes images writes them into `store`.

        Raises
        ------
        DataError
            If the source cannot be listed.
        """

    @abstractmethod
    def fingerprint(self) -> Mapping[str, float] | None:
        """Return the modification time of each file in seconds, or None if the images never change or `is_remote`.

        Raises
        ------
        DataError
            If the source cannot be listed.
        """

    @property
    def local_place(self) -> Path | None:
        """Return the local file or folder that the text of the source names, if it names one."""
        return None

    @property
    def is_remote(self) -> bool:
        """Whether the images are elsewhere and can change, although `fingerprint` returns None."""
        return False

    @property
    def list_files(self) -> Collection[str]:
        """Return the files of `fingerprint` that list the images and are no images themselves."""
        return ()

    def local_file(self, location: str) -> str | None:
        """Return the file that holds an image of `list`, or None if the image is in no local file.

        While this file is unchanged, the image is not read again. By default, the file is the image.
        """
        return location if type(self).open is Source.open else None

    def is_available(self, location: str) -> bool:
        """Return whether this machine can open an image of `list`, which may have run on another machine."""
        file = self.local_file(location)
        return file is not None and is_file(file)

    def likely_cause(self, row: Row) -> str:  # noqa: ARG002
        """Return why an image is probably not where the source says, with what to do, or nothing."""
        return ""

    def open(self, location: str) -> BinaryIO:
        """Return a seekable stream of the bytes of an image of `list`. By default, the location is a local path.

        Raises
        ------
        OSError
            If it cannot be opened.
        """
        return open_file(location)


sources: dict[str, type[Source]] = {}  # by scheme


def register_source(source: S) -> S:
    """Add a subclass of `Source` to the registry; its scheme must be new."""
    if not (isinstance(source, type) and issubclass(source, Source)):
        raise TypeError(f"{source!r} is not a subclass of itm.data.sources.base.Source")
    other = sources.setdefault(source.scheme, source)
    if other is not source and f"{other.__module__}.{other.__qualname__}" != f"{source.__module__}.{source.__qualname__}":
        raise ValueError(f"two sources have the scheme {source.scheme!r}")
    return source
