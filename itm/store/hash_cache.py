"""The hashes of weight files, remembered from run to run: those of a zoo are many gigabytes, and every night asks for all.

A hash is known as long as the file has the same size, times and place on the disk. None is of a file that changed a moment
before it was read, since the next change could bear the same time.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pydantic import TypeAdapter

from itm.core.errors import StoreError
from itm.core.keys import content_key, file_hash
from itm.store.files import read_json, write_json
from itm.store.layout import Store

log = logging.getLogger(__name__)

SETTLED = 2 * 10**9  # nanoseconds; no file system in use has coarser times


class _State(NamedTuple):
    """What changes with a file's bytes; the second time is set by the system, never by a program."""

    size: int
    modified: int
    changed: int
    inode: int


Known = dict[str, tuple[_State, str]]
_known: Known = {}


def known_hash(path: Path) -> str:
    """Return `file_hash` of a file, computed again only when it looks changed since it was last computed.

    Raises
    ------
    OSError
        If the file is missing or cannot be read.
    """
    state = _state(path)  # before its bytes are read, so that a change meanwhile is seen the next time
    known = _known.get(str(path.absolute()))
    if known is not None and known[0] == state:
        return known[1]
    settled = time.time_ns() - state.changed >= SETTLED
    found = file_hash(path)
    if settled:
        _known[str(path.absolute())] = state, found
    return found


def recall(store: Store) -> None:
    """Know what earlier runs on this store have hashed; a record that cannot be used is told of and left out."""
    path = store.hashes
    try:
        if not path.exists():
            return
        described = read_json(path)
        if described["checksum"] != content_key(described["files"]):
            raise ValueError("its checksum does not match")
        _known.update(TypeAdapter(Known).validate_python(described["files"]))
    except (StoreError, OSError) as error:
        log.warning("%s Weight files are read again.", error)
    except (KeyError, TypeError, ValueError):
        log.warning("%s: is damaged. Weight files are read again.", path)


@contextmanager
def remembered(store: Store) -> Iterator[None]:
    """Know what earlier runs on this store have hashed, and write down what is new in the end, also after an error."""
    recall(store)
    before = dict(_known)
    try:
        yield
    finally:
        if _known != before:
            _write_down(store)


def _write_down(store: Store) -> None:
    files = {path: known for path, known in dict(_known).items() if _looks_like(Path(path), known[0])}
    try:
        write_json(store.hashes, {"files": files, "checksum": content_key(files)})
    except (StoreError, UnicodeError) as error:  # a path may hold bytes that are no text
        log.warning("%s Weight files are read again the next time.", error)


def _looks_like(path: Path, state: _State) -> bool:
    try:
        return _state(path) == state
    except OSError:
        return False


def _state(path: Path) -> _State:
    found = path.stat()
    return _State(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
