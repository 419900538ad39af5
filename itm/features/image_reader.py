"""Read the images of a data set as a model sees them, each decoded once for all models.

The first model that needs a geometry, which is a way of resizing and cropping, decodes the images and keeps them in a file for
the others. One JPEG decode serves all geometries that the run needs. The bytes are from before normalisation, so embeddings do
not depend on the file.
"""

import hashlib
import logging
import os
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from shutil import disk_usage
from typing import Any

import polars as pl
import torch
from filelock import FileLock, Timeout

from itm.core.errors import StoreError, cause
from itm.core.keys import content_key
from itm.core.progress import progress_bar
from itm.data.pixels import Open
from itm.features.decode import decode
from itm.features.decoded_file import DecodedFile, Writer
from itm.features.devices import lock_folder
from itm.features.identity import EXTRACTOR, package_versions
from itm.store.files import exists, remove

log = logging.getLogger(__name__)

Config = dict[str, Any]
SHARE = 0.25  # of the free disk space, for all files
SUFFIX = ".images"


@dataclass(frozen=True)
class ImageReader:
    """Reads the usable images `rows` of the data set `name`.

    Attributes
    ----------
    folder
        Where decoded images are kept, or None to decode them for each model.
    limit
        How many bytes the files in `folder` may have together, or None for a share of the free space.
    reserved
        How many bytes of the free space are needed for something else.
    run_configs
        The preprocessing of all models that this run extracts from these images.
    """

    name: str
    rows: pl.DataFrame
    open_image: Open
    folder: Path | None
    limit: int | None = None
    reserved: int = 0
    run_configs: Sequence[Config] = ()

    def read(
        self, config: Config, workers: int, ahead: int, while_decoding: bool, fill_workers: int
    ) -> Generator[torch.Tensor, None, None]:
        """Yield all images in order, as bytes [channels, height, width] by the preprocessing `config`.

        Parameters
        ----------
        workers
            The number of threads that decode while the model computes.
        ahead
            The number of decoded images that may wait for the model.
        while_decoding
            Whether to yield images while others are still being decoded and written. Otherwise the file is filled first, by
            `fill_workers` threads: on a CPU the model would compete with them for the same cores.

        Raises
        ------
        DataError
            If an image changed since it was ingested, or cannot be decoded or resized.
        """
        number = 0
        if self.folder:
            file = self._file(config)
            with self._lock(self.folder, self._images, wait=not while_decoding) as is_locked:
                writers = self._writers(config, self.folder) if is_locked and not file.exists() else []
                if writers and while_decoding:
                    yield from self._decode_and_keep(writers, workers, ahead)
                    return
                if writers:
                    deque(self._decode_and_keep(writers, fill_workers, ahead), maxlen=0)
            if file.exists():
                try:
                    for image in file.read():
                        yield image
                        number += 1
                except StoreError as error:
                    log.warning("%s Decoding the images again.", error)
                    remove(file.path)
                else:
                    return
        with closing(decode(self.rows[number:], self.open_image, [config], workers, ahead)) as decoded:
            for (found,) in decoded:
                assert found is not None
                yield found

    def _decode_and_keep(
        self, writers: Sequence[tuple[Config, Writer]], workers: int, ahead: int
    ) -> Generator[torch.Tensor, None, None]:
        """Yield the images by the first config, and write them by each."""
        configs = [config for config, _ in writers]
        with ExitStack() as stack:
            for _, writer in writers:
                stack.enter_context(closing(writer))
            images = stack.enter_context(closing(decode(self.rows, self.open_image, configs, workers, ahead, needed=1)))
            advance = stack.enter_context(progress_bar(f"decoding {self.name}", len(self.rows), "images"))
            for found in images:
                for (_, writer), image in zip(writers, found, strict=True):
                    writer.add(image)
                assert found[0] is not None
                yield found[0]
                advance(1)
            for _, writer in writers:
                writer.finish()

    def _file(self, config: Config) -> DecodedFile:
        assert self.folder
        versions = package_versions() | {"extractor": str(EXTRACTOR)}
        key = content_key({"images": self._images, "geometry": geometry(config), "versions": versions})
        return DecodedFile(self.folder / f"{key[:32]}{SUFFIX}", len(self.rows), tuple(config["input_size"]))

    @cached_property
    def _images(self) -> str:
        digest, separator = hashlib.sha256(), b""
        for block in self.rows.select("id").iter_slices():
            digest.update(separator + "\n".join(block["id"]).encode())
            separator = b"\n"
        return digest.hexdigest()

    def _writers(self, config: Config, folder: Path) -> list[tuple[Config, Writer]]:
        """Return a writer for `config` and for each other config of the run whose file is missing, as far as they fit.

        If that of `config` does not fit, there is none. The files that were not used for longest make room.
        """
        files = {self._file(one).path: (one, self._file(one)) for one in (*self.run_configs, config)}
        own = self._file(config)
        with self._lock(folder, "room", wait=True) as is_locked:
            sizes = {path: state.st_size for path, state in _by_age(folder)}
            limit = allowed_bytes(folder, self.reserved) if self.limit is None else self.limit
            removable = [path for path in sizes if path not in files and not path.name.startswith(".")]
            found: list[tuple[Config, Writer]] = []
            if own.path in sizes:  # another machine has just finished it
                return []
            for path in (own.path, *(path for path in files if path != own.path)):
                one, file = files[path]
                if path in sizes or not is_locked:
                    continue
                if file.size + sum(size for other, size in sizes.items() if other not in removable) > limit:
                    if not found:
                        break
                    continue
                while file.size + sum(sizes.values()) > limit:
                    oldest = removable.pop(0)
                    del sizes[oldest]
                    remove(oldest)
                sizes[path] = file.size
                found.append((one, Writer(file)))
        if not found:
            about = self.name, own.size / 1e9, limit / 1e9
            log.info("%s: decoded images need %.3g GB, extract.decoded allows %.3g: each model decodes them", *about)
        return found

    @contextmanager
    def _lock(self, folder: Path, what: str, wait: bool) -> Iterator[bool]:
        """Hold a lock of this machine, and yield whether it could be had."""
        name = content_key([str(folder.resolve()), what])
        try:
            lock = FileLock(lock_folder() / f"itm-{name[:32]}.lock", mode=0o666)
            lock.acquire(blocking=False)
        except Timeout:
            if wait:
                log.debug("%s: waiting for the lock of %s", self.name, what)
                lock.acquire()
        except OSError as error:
            log.warning("%s: decoded images are not kept, since no lock can be made (%s)", self.name, cause(error))
            yield False
            return
        try:
            yield lock.is_locked
        finally:
            lock.release()


def allowed_bytes(folder: Path, reserved: int = 0) -> int:
    """Return how many bytes all files of decoded images may have, if `reserved` bytes of the disk are needed otherwise."""
    free = disk_usage(next(place for place in (folder, *folder.absolute().parents) if exists(place))).free
    return int(SHARE * (max(0, free - reserved) + sum(state.st_size for _, state in _by_age(folder))))


def geometry(config: Config) -> Config:
    """Return the part of a preprocessing config that determines the bytes of an image."""
    return {name: value for name, value in config.items() if name not in ("mean", "std")}


def _by_age(folder: Path) -> list[tuple[Path, os.stat_result]]:
    """Return files of decoded images, finished or not, those first that were not used for longest."""
    found = []
    for path in folder.glob(f"*{SUFFIX}"):
        with suppress(OSError):  # another process removed it
            found.append((path, path.stat()))
    return sorted(found, key=lambda pair: pair[1].st_mtime)
