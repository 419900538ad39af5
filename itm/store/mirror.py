"""Files that stores of machines without a common disk exchange through a shared place.

A file has the same path below the place as below the root of a store. Whatever is exchanged is named by what it was made from
and never changes, so it does not matter who sends it, when, or how often.

A place that cannot be used is an error before any work is done, which `check_place` finds out. Later on it is a warning, and
what may lie there counts as missing: it is computed again, and hours of work do not end with a network that was gone for a
minute. Only what cannot be computed here is an error then too (`need`). The file systems have retries of their own; after these
nobody asks again for half a minute.
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
from itm.store.files import write_beside
from itm.store.layout import Store
from itm.store.remote import AbsentError, AwayError, Place

log = logging.getLogger(__name__)

HERE = "ITM_STORE"  # the variable by which a worker says that its store lies elsewhere than that of whoever hands it work
SMALL = 2**16  # bytes; to ask whether so few are there takes as long as to send them
MARKER = "itm-shared-place"

Check = Callable[[Path], None]


class _DamagedError(StoreError):
    """What the place has is not what was sent."""


def here(store: Store) -> Store:
    """Return the store on this machine: where the environment variable ITM_STORE says, if files are exchanged at all."""
    root = os.environ.get(HERE)
    return replace(store, root=Path(root)) if store.shared and root else store


def check_place(store: Store) -> None:
    """Find out whether files can be exchanged through the shared place of a store, if it has one.

    Raises
    ------
    StoreError
        If the place does not exist, cannot be reached or may not be written to, or its file system is not installed.
    """
    if store.shared is None:
        return
    place = Place(store.shared)
    try:
        with place.asked(urgent=True):
            if not place.exists(MARKER):
                place.put_text("Files that stores of itm exchange; see docs/shared_store.md.\n", MARKER)
    except AbsentError:
        raise StoreError(f"{place.shown}: does not exist; make the bucket, or change `shared` in params.") from None


def fetch(store: Store, path: Path, check: Check | None = None) -> bool:
    """Bring a file below the root of a store from the shared place if it is not here, and say whether it is here now.

    It gets its name once it is whole and `check` finds nothing wrong with it. A place that cannot be reached, or that has a
    damaged file, is told of.

    Raises
    ------
    StoreError
        If the file cannot be written here.
    """
    try:
        return _bring(store, path, check, urgent=False)
    except AwayError:
        return False
    except _DamagedError as error:
        log.warning("%s", error)
        return False


def need(store: Store, path: Path, check: Check | None = None) -> Path:
    """Bring a file as `fetch` does, and return its path.

    Raises
    ------
    StoreError
        If it is neither here nor in the shared place, damaged there, or the place cannot be reached.
    """
    if not _bring(store, path, check, urgent=True):
        raise missing(store, path)
    return path


def missing(store: Store, path: Path) -> StoreError:
    """Return the error of a file that is neither here nor in the shared place."""
    where = f" and not in {Place(store.shared).shown}" if store.shared else ""
    return StoreError(f"{path}: is not here{where}; run again on a machine that has it, or where it can be made.")


def located(features: Features, store: Store) -> Features:
    """Return features with the path that their file has on this machine, brought here if need be.

    Raises
    ------
    StoreError
        If the file is neither where it was written nor to be had from the shared place.
    """
    if store.shared is None or features.path.exists():
        return features
    return replace(features, path=need(store, store.features(features.data, features.model, features.key), check_pages))


def publish(store: Store, path: Path) -> bool:
    """Send a file below the root of a store to the shared place unless that has one of its size; say whether it is there."""
    place = _place(store, path)
    if place is None:
        return False
    with suppress(AwayError, AbsentError), place.asked():
        size, name = path.stat().st_size, _name(store, path)
        if size <= SMALL or not place.exists(name) or place.size(name) != size:
            place.put(path, name)
        return True
    return False


def is_shared(store: Store, path: Path) -> bool:
    """Say whether the shared place has a file; one that cannot be reached has none."""
    place = _place(store, path)
    if place is None:
        return False
    with suppress(AwayError), place.asked():
        return place.exists(_name(store, path))
    return False


@contextmanager
def opened(store: Store, path: Path, urgent: bool = False) -> Iterator[IO[bytes] | None]:
    """Open a file of the shared place where it lies, without bringing it here; nothing where the place has none.

    Raises
    ------
    StoreError
        If the place cannot be reached and it is urgent, or is lost while the file is read.
    """
    place, stream = _place(store, path), None
    if place is None:
        yield None
        return
    try:
        with place.asked(urgent):
            stream = place.open(_name(store, path))
    except AbsentError:
        pass
    except AwayError:
        if urgent:
            raise
    if stream is None:
        yield None
        return
    with place.asked(urgent), stream:
        yield stream


def _place(store: Store, path: Path) -> Place | None:
    """Return the place through which a file is exchanged, if it is."""
    return Place(store.shared) if store.shared and path.is_relative_to(store.root) else None


def _name(store: Store, path: Path) -> str:
    return path.relative_to(store.root).as_posix()


def _bring(store: Store, path: Path, check: Check | None, urgent: bool) -> bool:
    if path.exists():
        return True
    place = _place(store, path)
    if place is None:
        return False
    name = _name(store, path)

    def write(temporary: Path) -> None:
        with place.asked(urgent):
            place.get(name, temporary)
            size = place.size(name)
        try:
            if temporary.stat().st_size != size:
                raise StoreError(f"{temporary.stat().st_size} of {size} bytes arrived")
            if check:
                check(temporary)
        except StoreError as error:
            told = str(error).replace(f"{temporary}: ", "").partition(";")[0]
            raise _DamagedError(
                f"{place.shown}/{name}: {told}; it counts as missing, remove it there if this is said again."
            ) from None

    try:
        write_beside(path, write)
    except AbsentError:
        return False
    return True
