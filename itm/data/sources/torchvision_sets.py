"""The source `torchvision:NAME`: a data set for classification that torchvision knows, with its own split."""

import hashlib
import logging
import os
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Self

from itm.core.errors import DataError, did_you_mean
from itm.data.archives.members import is_member, join, split
from itm.data.archives.opened import open_member
from itm.data.archives.tar_file import as_member
from itm.data.archives.unpacked import written_tar
from itm.data.local_files import expand
from itm.data.pixels import open_file
from itm.data.rows import Listing, Row, read_split
from itm.data.sources.base import OptionValue, Source, register_source
from itm.data.sources.torchvision_table import CLASSIFICATION, ELSEWHERE, OTHERS
from itm.store.layout import Store

log = logging.getLogger(__name__)


@register_source
@dataclass(frozen=True)
class TorchvisionSet(Source):
    """Images that are files are used as files. Those in arrays are written into the store as PNG, once."""

    scheme: ClassVar[str] = "torchvision"
    usage: ClassVar[str] = "torchvision:NAME?root=FOLDER&download=yes"
    options: ClassVar[Mapping[str, type[OptionValue]]] = {"root": str, "download": str}

    name: str
    root: Path
    download: bool = False

    @classmethod
    def parse(cls, place: str, options: Mapping[str, OptionValue]) -> Self:
        name = {known.lower(): known for known in CLASSIFICATION}.get(place.lower())
        if name is None:
            raise _unknown(place)
        if options.get("download", "no") not in ("yes", "no"):
            raise DataError(f"torchvision:{place}: download is {options['download']!r}; write yes or no.")
        root = expand(str(options["root"])) if "root" in options else default_root()
        return cls(name, root, options.get("download") == "yes")

    @property
    def default_name(self) -> str:
        return self.name.lower()

    def fingerprint(self) -> None:
        return None  # published data sets do not change

    def local_file(self, location: str) -> str:
        return split(location)[0] if is_member(location) else location

    def open(self, location: str) -> BinaryIO:
        return open_member(location) if is_member(location) else open_file(location)

    def list(self, store: Store) -> Listing:
        from itm.data.sources.torchvision_images import class_names, images, load_parts

        parts = load_parts(self.name, self.root, self.download)
        written: Path | None = None
        rows = []
        for part_name, part in parts.items():
            names = class_names(part)
            for number, (image, label) in enumerate(images(self.name, part)):
                if isinstance(image, Path):
                    location, relative = image.as_posix(), os.path.relpath(image, self.root)
                else:
                    written = written or self._write(parts, store)
                    relative = _member(part_name, number)
                    location = join(written.as_posix(), relative)
                target = names[label] if 0 <= label < len(names) else str(label)
                rows.append(Row(location, relative, target, read_split(part_name)))
        return Listing(tuple(rows))

    def _write(self, parts: Mapping[str, Any], store: Store) -> Path:
        """Return the tar file with the images of a data set that has them in arrays."""
        from itm.data.sources.torchvision_images import images, png

        def write(path: Path) -> None:
            log.info("writing the images of %s once into %s", self.name, store.unpacked)
            with tarfile.open(path, "w") as tar:
                for part_name, part in parts.items():
                    for number, (image, _) in enumerate(images(self.name, part)):
                        assert not isinstance(image, Path)
                        content = png(image)
                        tar.addfile(as_member(_member(part_name, number), len(content)), BytesIO(content))

        return written_tar(f"{self.root.absolute()}/{self.name}", [*_digests(parts)], write, store)


def default_root() -> Path:
    """Return the folder for data sets in the cache of torch, which all projects of a user share."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return Path(os.environ.get("TORCH_HOME") or cache / "torch").expanduser() / "datasets"


def _member(part: str, number: int) -> str:
    return f"{part or 'all'}/{number:06d}.png"


def _digests(parts: Mapping[str, Any]) -> Iterator[str]:
    """Yield what changes with the pixels of each part."""
    import numpy as np

    for name, part in parts.items():
        pixels = getattr(part, "data", None)
        content = b"" if pixels is None else np.ascontiguousarray(pixels).tobytes()
        yield f"{name} {len(part)} {hashlib.sha256(content).hexdigest()}"


def _unknown(place: str) -> DataError:
    elsewhere = {name.lower(): name for name in ELSEWHERE}.get(place.lower())
    if elsewhere:
        return DataError(f"torchvision:{place}: is not read through torchvision; {ELSEWHERE[elsewhere]}.")
    if place.lower() in (name.lower() for name in OTHERS):
        return DataError(f"torchvision:{place}: has no single class for each image, so nothing can be ranked on it.")
    known = ", ".join(sorted(CLASSIFICATION, key=str.lower))
    return DataError(
        f"torchvision:{place}: torchvision has no such data set{did_you_mean(place, CLASSIFICATION)} Known: {known}."
    )
