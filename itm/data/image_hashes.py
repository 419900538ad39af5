"""The hashes of images, kept between runs: a file that looks unchanged is not read again, as with weight files.

There is a table for each data set. The JSON file of the weights would have to be written as a whole for every new image.
In memory, each record is one object of 97 bytes: a data set can have a million images.
"""

import logging
import struct
import time
from pathlib import Path

import numpy as np
import polars as pl

from itm.core.errors import StoreError, cause
from itm.data.sources.base import Source
from itm.store.files import exists, read_table, write_table
from itm.store.hash_cache import SETTLED, FileState, file_state

log = logging.getLogger(__name__)

SCHEMA = {"path": pl.String, "size": pl.Int64, "modified": pl.Int64, "changed": pl.Int64, "inode": pl.UInt64, "id": pl.String}

_RECORD = struct.Struct("<qqqQ32s")  # the state of a file, and the SHA-256 of its bytes
_FIELDS = np.dtype([("size", "<i8"), ("modified", "<i8"), ("changed", "<i8"), ("inode", "<u8"), ("id", "V32")])


class ImageHashes:
    """The hash of each image of a source by its path, valid as long as the state of the file that holds it is the same.

    Only images that are in files of this machine are remembered. A damaged record counts as missing.
    """

    def __init__(self, path: Path, source: Source) -> None:
        self._path, self._local_file = path, source.local_file
        self._before = _read(path)
        self._now = dict[str, bytes]()
        self._is_changed = False

    def find(self, location: str) -> tuple[FileState | None, str | None]:
        """Return the state of an image now, to be read before its bytes, and its hash if the state is as before.

        There is no state if it is in no file, or the file changed just now: another write could have the same times.
        """
        try:
            file = self._local_file(location)
            state = file_state(Path(file)) if file is not None else None
        except (OSError, ValueError):
            state = None
        if state is None or state.changed > time.time_ns() - SETTLED:
            return None, None
        record = self._now.get(location) or self._before.pop(location, None)
        if record is None:
            return state, None
        *before, hash_ = _RECORD.unpack(record)
        if FileState(*before) != state:
            self._is_changed = True
            return state, None
        self._now[location] = record
        return state, hash_.hex()

    def add(self, location: str, state: FileState | None, hash_: str) -> None:
        """Remember the hash of an image that had this state before it was read."""
        if state:
            self._now[location], self._is_changed = _RECORD.pack(*state, bytes.fromhex(hash_)), True

    def save(self) -> None:
        """Write the hashes for the next run, if they changed."""
        if not (self._is_changed or self._before):
            return
        paths = sorted(self._now)
        records = np.frombuffer(b"".join(self._now[path] for path in paths), _FIELDS)
        ids = pl.Series([record[-32:] for record in map(self._now.__getitem__, paths)], dtype=pl.Binary).bin.encode("hex")
        columns = {"path": paths, **{name: records[name] for name in FileState._fields}, "id": ids}
        try:
            write_table(self._path, pl.DataFrame(columns, schema=SCHEMA))
        except StoreError as error:
            log.warning("%s Images are read again by the next run.", error)


def _read(path: Path) -> dict[str, bytes]:
    if not exists(path):
        return {}
    try:
        table = read_table(path)
    except StoreError as error:
        log.warning("%s Images are read again.", error)
        return {}
    if table.schema != pl.Schema(SCHEMA):
        return {}
    try:
        return {name: _RECORD.pack(*state, bytes.fromhex(hash_)) for name, *state, hash_ in table.iter_rows()}
    except (TypeError, ValueError, struct.error) as error:
        log.warning("%s: is damaged (%s). Images are read again.", path, cause(error))
        return {}
