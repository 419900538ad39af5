"""The hashes of images, kept between runs: a file that looks unchanged is not read again, as with weight files.

There is a table for each data set. The JSON file of the weights would have to be written as a whole for every new image.
"""

import logging
import time
from pathlib import Path

import polars as pl

from itm.core.errors import StoreError
from itm.data.sources.base import Source
from itm.store.files import exists, read_table, write_table
from itm.store.hash_cache import SETTLED, FileState, file_state

log = logging.getLogger(__name__)

SCHEMA = {"path": pl.String, "size": pl.Int64, "modified": pl.Int64, "changed": pl.Int64, "inode": pl.UInt64, "id": pl.String}


class ImageHashes:
    """The hash of each image of a source by its path, valid as long as the state of the file is the same.

    Only images that are files on this machine are remembered. A damaged record counts as missing.
    """

    def __init__(self, path: Path, source: Source) -> None:
        self._path, self._is_local = path, type(source).open is Source.open
        self._before = _read(path) if self._is_local else {}
        self._now = dict[str, tuple[FileState, str]]()

    def find(self, location: str) -> tuple[FileState | None, str | None]:
        """Return the state of an image now, to be read before its bytes, and its hash if the state is as before.

        There is no state if it is no file, or changed just now: another write could have the same times.
        """
        try:
            state = file_state(Path(location)) if self._is_local else None
        except (OSError, ValueError):
            state = None
        if state is None or state.changed > time.time_ns() - SETTLED:
            return None, None
        before = self._before.get(location)
        if before is None or before[0] != state:
            return state, None
        self._now[location] = before
        return state, before[1]

    def add(self, location: str, state: FileState | None, hash_: str) -> None:
        """Remember the hash of an image that had this state before it was read."""
        if state:
            self._now[location] = state, hash_

    def save(self) -> None:
        """Write the hashes for the next run, if they changed."""
        if self._now == self._before:
            return
        rows = [(path, *state, hash_) for path, (state, hash_) in sorted(self._now.items())]
        try:
            write_table(self._path, pl.DataFrame(rows, schema=SCHEMA, orient="row"))
        except StoreError as error:
            log.warning("%s Images are read again by the next run.", error)


def _read(path: Path) -> dict[str, tuple[FileState, str]]:
    if not exists(path):
        return {}
    try:
        table = read_table(path)
    except StoreError as error:
        log.warning("%s Images are read again.", error)
        return {}
    if table.schema != pl.Schema(SCHEMA):
        return {}
    return {name: (FileState(*state), hash_) for name, *state, hash_ in table.iter_rows()}
