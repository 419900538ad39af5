"""Sharing of files between machines without a common disk.

A file has the same path below the shared folder as below the root of a store. Shared files are named by their content key and
never change, so any machine may send them at any time.

`check_shared` reports an unusable shared folder before any work starts. Later, an unreachable folder is only logged and its
files count as missing: they are computed again, so a short network failure does not stop a run. `fetch_required` still fails,
for files that this machine cannot compute. After a failure, no requests are sent to the folder for `itm.store.remote.PAUSE`
seconds.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO

from itm.core.errors import StoreError
from itm.core.types import Features
from itm.store.feature_file import check_pages
from itm.store.files import exists, write_atomically
from itm.store.layout import Store
from itm.store.remote import NotFoundError, SharedFolder, UnreachableError

log = logging.getLogger(__name__)

LOCAL_STORE = "ITM_STORE"  # environment variable of a worker: the root of its store
SMALL = 2**16  # bytes; sending so few is as fast as asking whether they are there
MARKER = "itm-shared-place"

Check = Callable[[Path], None]


class _DamagedError(StoreError):
    """A file of the shared folder is damaged."""


def local_store(store: Store) -> Store:
    """Return the store of this machine. If files are shared, its root is the environment variable ITM_STORE, where set."""
    root = os.environ.get(LOCAL_STORE)
    return replace(store, root=Path(root)) if store.shared and root else store


def check_shared(store: Store) -> None:
    """Check that the shared folder of a store can be used, if it has one.

    Raises
    ------
    StoreError
        If the folder does not exist, cannot be reached or is not writable, or its file system is not installed.
    """
    if store.shared is None:
        return
    folder = SharedFolder(store.shared)
    try:
        with folder.translate_errors(urgent=True):
            if not folder.exists(MARKER):
                folder.put_text("Files shared by stores of itm; see docs/operate/workers_and_servers.md.\n", MARKER)
    except NotFoundError:
        raise StoreError(f"{folder.shown}: does not exist; create the bucket, or change `shared` in params.") from None


def fetch(store: Store, path: Path, check: Check | None = None) -> bool:
    """Download a file of the store from the shared folder if it is not on this machine. Return whether it is now.

    The file appears at `path` only after `check` has accepted it. An unreachable folder and a damaged file are logged.
    """
    try:
        return _download(store, path, check, urgent=False)
    except UnreachableError:
        return False
    except _DamagedError as error:
        log.warning("%s", error)
        return False


def fetch_required(store: Store, path: Path, check: Check | None = None) -> Path:
    """Return `path` after downloading it like `fetch`.

    Raises
    ------
    StoreError
        If the file is on neither side, is damaged in the shared folder, or the folder cannot be reached.
    """
    if not _download(store, path, check, urgent=True):
        raise missing_error(store, path)
    return path


def missing_error(store: Store, path: Path) -> StoreError:
    """Return the error for a file that is neither on this machine nor in the shared folder."""
    where = f" and not in {SharedFolder(store.shared).shown}" if store.shared else ""
    return StoreError(f"{path}: is not on this machine{where}; run again on a machine that has it or can compute it.")


def with_local_file(features: Features, store: Store) -> Features:
    """Return features whose file is on this machine, after downloading it if necessary."""
    if store.shared is None or exists(features.path):
        return features
    path = store.features(features.data, features.model, features.key)
    return replace(features, path=fetch_required(store, path, check_pages))


def publish(store: Store, path: Path) -> bool:
    """Send a file of the store to the shared folder unless it is there with the same size. Return whether it is there."""
    folder = _shared_folder(store, path)
    if folder is None:
        return False
    with suppress(UnreachableError, NotFoundError), folder.translate_errors():
        size, name = path.stat().st_size, _name(store, path)
        if size <= SMALL or not folder.exists(name) or folder.size(name) != size:
            folder.put(path, name)
        return True
    return False


def is_shared(store: Store, path: Path) -> bool:
    """Return whether the shared folder has a file. For an unreachable folder it is False."""
    folder = _shared_folder(store, path)
    if folder is None:
        return False
    with suppress(UnreachableError), folder.translate_errors():
        return folder.exists(_name(store, path))
    return False


@contextmanager
def open_shared(store: Store, path: Path, urgent: bool = False) -> Iterator[IO[bytes] | None]:
    """Open a file of the shared folder without downloading it. Yield None if the folder does not have it.

    Raises
    ------
    StoreError
        If the connection is lost while the file is read, or, with `urgent`, the folder cannot be reached.
    """
    folder, stream = _shared_folder(store, path), None
    if folder is None:
        yield None
        return
    try:
        with folder.translate_errors(urgent):
            stream = folder.open(_name(store, path))
    except NotFoundError:
        pass
    except UnreachableError:
        if urgent:
            raise
    if stream is None:
        yield None
        return
    with folder.translate_errors(urgent), stream:
        yield stream


def _shared_folder(store: Store, path: Path) -> SharedFolder | None:
    """Return the shared folder of a file, or None if the file is not shared."""
    return SharedFolder(store.shared) if store.shared and path.is_relative_to(store.root) else None


def _name(store: Store, path: Path) -> str:
    return path.relative_to(store.root).as_posix()


def _download(store: Store, path: Path, check: Check | None, urgent: bool) -> bool:
    if exists(path):
        return True
    folder = _shared_folder(store, path)
    if folder is None:
        return False
    name = _name(store, path)

    def write(temporary: Path) -> None:
        with folder.translate_errors(urgent):
            folder.get(name, temporary)
            size = folder.size(name)
        try:
            if temporary.stat().st_size != size:
                raise StoreError(f"{temporary.stat().st_size} of {size} bytes arrived")
            if check:
                check(temporary)
        except StoreError as error:
            reason = str(error).replace(f"{temporary}: ", "").partition(";")[0]
            raise _DamagedError(
                f"{folder.shown}/{name}: {reason}; it counts as missing. If this repeats, delete it there."
            ) from None

    try:
        write_atomically(path, write)
    except NotFoundError:
        return False
    return True
