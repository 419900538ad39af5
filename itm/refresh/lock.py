"""The lock of a refresh: only one refresh of a store runs at a time."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from itm.core.errors import StoreError
from itm.store.files import write_error
from itm.store.layout import Store

log = logging.getLogger(__name__)


@contextmanager
def refresh_lock(store: Store, wait: float) -> Iterator[None]:
    """Lock the store for one refresh. The lock of a killed process is released at once.

    Raises
    ------
    StoreError
        If another refresh still runs after `wait` seconds, or the store cannot be written.
    """
    path = store.results / "refresh.lock"
    lock, holder = FileLock(path), path.with_suffix(".holder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            log.warning("another refresh of %s is running (%s); waiting up to %g s", store.root, _read(holder), wait)
            lock.acquire(timeout=wait)
    except Timeout:
        raise StoreError(
            f"{store.root}: another refresh still runs after {wait:g} s ({_read(holder)}); raise refresh.wait or try later."
        ) from None
    except OSError as error:
        raise write_error(path, error) from error
    try:
        holder.write_text(f"process {os.getpid()} on {socket.gethostname()}")
        yield
    finally:
        lock.release()


def _read(holder: Path) -> str:
    try:
        return holder.read_text()
    except OSError:
        return "unknown process"
