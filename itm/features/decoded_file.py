"""Decoded images in one file: those of some rows of a data set, for one way of resizing and cropping.

The file has the bytes [channels, height, width] of each image in order, then the CRC-32 of each, then that of these numbers. It
is read, not memory-mapped: if another program truncates a mapped file, the system ends the process that reads it.
"""

import logging
import math
import os
import zlib
from array import array
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch

from itm.core.errors import StoreError, cause
from itm.store.files import remove, temporary_path, write_error

log = logging.getLogger(__name__)

CRC = np.dtype("<u4")


@dataclass(frozen=True)
class DecodedFile:
    """The file of `count` images of one `shape`. Its name is the key of everything that determines its content."""

    path: Path
    count: int
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Return the size in bytes."""
        return self.count * (math.prod(self.shape) + CRC.itemsize) + CRC.itemsize

    def exists(self) -> bool:
        """Return whether the file exists. Its content is checked when it is read."""
        return self.path.is_file()

    def read(self) -> Iterator[torch.Tensor]:
        """Yield the images in order.

        Raises
        ------
        StoreError
            If the file is gone or damaged. All images that were yielded before are right.
        """
        pixels = math.prod(self.shape)
        try:
            with suppress(PermissionError):  # a file of another user
                os.utime(self.path)  # files that were not used for longest are removed first
            with self.path.open("rb") as stream:
                stream.seek(self.count * pixels)
                checks = _read_checks(stream.read(), self.count)
                stream.seek(0)
                for number, check in enumerate(checks):
                    buffer = bytearray(pixels)
                    if stream.readinto(buffer) != pixels or zlib.crc32(buffer) != check:
                        raise ValueError(f"image {number} is damaged")
                    yield torch.frombuffer(buffer, dtype=torch.uint8).view(self.shape)
        except (OSError, ValueError) as error:
            raise StoreError(f"{self.path}: decoded images cannot be read ({cause(error)}).") from error


def _read_checks(table: bytes, count: int) -> np.ndarray:
    if len(table) != (count + 1) * CRC.itemsize:
        raise ValueError("its size is wrong")
    checks = np.frombuffer(table, CRC)
    if zlib.crc32(table[: -CRC.itemsize]) != checks[-1]:
        raise ValueError("its checksums are damaged")
    return checks[:-1]


class Writer:
    """Writes a file image by image. If that becomes impossible, the reason is logged and the file is left out."""

    def __init__(self, file: DecodedFile) -> None:
        self._file, self._checks, self._temporary = file, array("I"), temporary_path(file.path)
        self._stream: IO[bytes] | None = None
        try:
            file.path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self._temporary.open("wb")
            self._stream.truncate(file.size)  # so that other writers know how much space it takes
        except OSError as error:
            self._give_up(error)

    def add(self, image: torch.Tensor | None) -> None:
        """Write the next image. None is one that cannot be brought to this shape: the models that need it say why."""
        if image is None:
            self.close()
        if self._stream and image is not None:
            content = image.numpy().tobytes()
            self._checks.append(zlib.crc32(content))
            try:
                self._stream.write(content)
            except OSError as error:
                self._give_up(error)

    def finish(self) -> None:
        """Complete the file. Before, nobody sees it; without this call it never exists."""
        if self._stream:
            table = np.array(self._checks, CRC).tobytes()
            try:
                self._stream.write(table + np.array(zlib.crc32(table), CRC).tobytes())
                self._stream.close()
                self._temporary.replace(self._file.path)
            except OSError as error:
                self._give_up(error)

    def close(self) -> None:
        """Remove what is not finished."""
        if self._stream:
            with suppress(OSError):  # a full disk
                self._stream.close()
        self._stream = None
        remove(self._temporary)

    def _give_up(self, error: OSError) -> None:
        log.warning("%s Images are decoded again for each model.", write_error(self._file.path, error))
        self.close()
