"""One refresh of a store at a time: the second waits for the first, or says who is at work."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from itm.core.errors import StoreError
from itm.store.layout import Store

log = logging.getLogger(__name__)


@contextmanager
def at_work(store: Store, wait: float) -> Iterator[None]:
    """Hold the store for one refresh; the lock of one that is killed is free at once.

    Raises
    ------
    StoreError
        If another refresh is still at work after `wait` seconds, or the store cannot be written.
    """
    path = store.results / "refresh.lock"
    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            log.warning("another refresh of %s is at work (%s); waiting up to %g s for its end", store.root, _who(store), wait)
            lock.acquire(timeout=wait)
    except Timeout:
        raise StoreError(
            f"{store.root}: another refresh is still at work after {wait:g} s ({_who(store)}); raise refresh.wait or try later."
        ) from None
    except OSError as error:
        raise StoreError(f"{store.root}: cannot be written ({error.strerror}); change `store` in params.") from error
    try:
        _holder(store).write_text(f"process {os.getpid()} on {socket.gethostname()}")
        yield
    finally:
        lock.release()


def _holder(store: Store) -> Path:
    return store.results / "refresh.holder"


def _who(store: Store) -> str:
    try:
        return _holder(store).read_text()
    except OSError:
        return "nobody knows which process"
