"""The hashes of weight files, kept between runs: the files of a zoo are many gigabytes, and every refresh needs all hashes.

A cached hash is valid as long as size, times and inode of its file are the same. Files modified within the last 2 s are not
cached: another write could have the same timestamp.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from itm.core.errors import StoreError, printable
from itm.core.keys import file_hash
from itm.store.layout import Store
from itm.store.records import RecordStore

log = logging.getLogger(__name__)

SETTLED = 2 * 10**9  # nanoseconds; no file system in use has coarser timestamps
KEY = "weight files"
RECORDS = RecordStore()  # not exchanged: paths, times and inodes mean nothing on another machine


class FileState(NamedTuple):
    """What changes with the bytes of a file. `changed` is set by the system and never by a program."""

    size: int
    modified: int
    changed: int
    inode: int


Hashes = dict[str, tuple[FileState, str]]
_cache: Hashes = {}


def cached_hash(path: Path) -> str:
    """Return `file_hash` of a file, computed only if the file looks changed since the last call."""
    state = file_state(path)  # read before the bytes, so that the next call notices a change in between
    cached = _cache.get(str(path.absolute()))
    if cached is not None and cached[0] == state:
        return cached[1]
    settled = time.time_ns() - state.changed >= SETTLED
    found = file_hash(path)
    if settled:
        _cache[str(path.absolute())] = state, found
    return found


def load_hashes(store: Store) -> None:
    """Fill the cache with the hashes that earlier runs saved in `store`."""
    found = RECORDS.get(store.hashes, KEY)
    if found is None:
        return
    try:
        _cache.update(TypeAdapter(Hashes).validate_python(found))
    except ValidationError:
        log.warning("%s: is damaged. Weight files are read again.", store.hashes)


@contextmanager
def saved_hashes(store: Store) -> Iterator[None]:
    """Load the hashes of earlier runs, and save new ones at the end, also after an error."""
    load_hashes(store)
    before = dict(_cache)
    try:
        yield
    finally:
        if _cache != before:
            _save(store)


def _save(store: Store) -> None:
    # a path can hold bytes that are not valid text; no record can have these
    known = ((path, cached) for path, cached in dict(_cache).items() if path == printable(path))
    files = {path: list(cached) for path, cached in known if _is_unchanged(Path(path), cached[0])}
    try:
        RECORDS.put(store.hashes, KEY, files)
    except StoreError as error:
        log.warning("%s Weight files are read again by the next run.", error)


def _is_unchanged(path: Path, state: FileState) -> bool:
    try:
        return file_state(path) == state
    except OSError:
        return False


def file_state(path: Path) -> FileState:
    found = path.stat()
    return FileState(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
