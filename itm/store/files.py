"""Atomic writes: a file is written under a temporary name, flushed to disk and renamed."""

import errno
import io
import json
import logging
import os
import re
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from shutil import disk_usage, rmtree
from tempfile import TemporaryFile
from typing import IO, Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from itm.core.errors import StoreError, cause, fix, printable

log = logging.getLogger(__name__)

OLD = 86_400  # seconds after which a temporary file of a process that cannot be seen is abandoned
_TEMPORARY = re.compile(r"\.tmp-(?P<host>.+?)\.(?P<ids>\d+)-(?P<pid>\d+)-(?P<process>[0-9a-f]{8})-\d+-.+")
_PROCESS = uuid.uuid4().hex[:8]  # a restarted container can reuse both host name and process id
_numbers = count()


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Call `write` with the path of a temporary file or folder next to `path`, then rename it to `path`.

    Raises
    ------
    StoreError
        If the folder is not writable or the disk is full. `path` is then unchanged.
    """
    temporary = temporary_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        _flush(temporary)
        temporary.replace(path)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        remove(temporary)


def temporary_path(path: Path) -> Path:
    """Return a new path next to `path`. If its process is killed, `Store.remove_abandoned` removes what is there."""
    return path.parent / _temporary_name(path.name)


def write_error(path: Path, error: OSError) -> StoreError:
    """Return the error for a file or folder that cannot be written. It names the place at fault, the cause and the fix."""
    if obstacle := _obstacle(path, error):
        return StoreError(f"{path}: cannot be written: {obstacle}.")
    return StoreError(f"{path}: cannot be written ({cause(error)}); {fix(error)}, or change `store` in params.")


def _obstacle(path: Path, error: OSError) -> str:
    """Return what is in the way of a path, and what to do about it; nothing if it is something else."""
    if error.errno == errno.EISDIR:
        return "it is a folder; remove it and run again"
    with suppress(OSError):  # a folder that this user may not see
        for place in reversed((path, *path.parents)):
            if place.is_symlink() and not place.exists():
                return f"{place} is a link to {place.readlink()}, which does not exist; create it or change `store`"
            is_folder = place != path or error.errno in (errno.ENOTDIR, errno.EEXIST)
            if is_folder and place.exists() and not place.is_dir():
                return f"{place} is a file, not a folder; move it away or change `store`"
    return ""


def check_space(path: Path, size: int) -> None:
    """Check that a file of `size` bytes fits on the disk of `path`.

    Raises
    ------
    StoreError
        If there is less space.
    """
    folder = next(place for place in path.absolute().parents if exists(place))
    disk = disk_usage(folder)
    if disk.free < size and disk.total:  # some network shares report nothing
        need, left = (f"{number / 2**20:,.1f} MiB" for number in (size, disk.free))
        raise StoreError(f"{path}: needs {need} of disk space, and {left} are free; free space there, or change `store`.")


def exists(path: Path) -> bool:
    """Return whether a file or folder exists. One that this user may not see counts as missing."""
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises where a folder cannot be read


def delete(path: Path) -> None:
    """Delete a file, if it exists.

    Raises
    ------
    StoreError
        If it cannot be deleted.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise write_error(path, error) from error


def scratch_file(folder: Path) -> IO[bytes]:
    """Open an unnamed file in `folder`. The system deletes it when it is closed or its process ends."""
    return TemporaryFile(dir=folder, prefix=_temporary_name(""))  # some systems need a name for a moment


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 with line feeds on every system. Bytes of file names that are not text become JSON's escapes."""

    def write(temporary: Path) -> None:
        temporary.write_text(printable(text), encoding="utf-8", newline="\n")

    write_atomically(path, write)


def write_json(path: Path, value: Any) -> None:
    write_text(path, to_json(value))


def to_json(value: Any) -> str:
    """Return `value` as indented JSON with sorted keys. Equal values give equal text."""
    stream = io.StringIO()  # takes a third of the memory of json.dumps for large values
    json.dump(value, stream, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
    return stream.getvalue() + "\n"


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    StoreError
        If the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({cause(error)}); {fix(error)}.") from error
    except ValueError as error:
        raise StoreError(f"{path}: is damaged ({error}); remove it and run again.") from error


def write_table(path: Path, table: pl.DataFrame, facts: Mapping[str, str] | None = None) -> None:
    """Write a table, with facts about it in its footer, as Parquet. Equal tables and facts give equal bytes."""
    arrow = table.to_arrow()  # polars does not write checksums

    def write(temporary: Path) -> None:
        with pq.ParquetWriter(temporary, arrow.schema, write_page_checksum=True, store_schema=False) as writer:
            writer.write_table(arrow)
            writer.add_key_value_metadata(dict(facts or {}))

    write_atomically(path, write)


def read_table(path: Path) -> pl.DataFrame:
    """Read a Parquet table.

    Raises
    ------
    StoreError
        If the file is missing or damaged.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return pl.DataFrame(file.read())
    except FileNotFoundError as error:
        raise StoreError(f"{path}: is missing; run again.") from error
    except (OSError, ValueError, pa.ArrowException) as error:
        raise StoreError(f"{path}: is damaged or cannot be read ({cause(error)}); remove it and run again.") from error


def read_facts(path: Path) -> dict[str, str]:
    """Return the facts about a table in its footer, or nothing if it cannot be read."""
    try:
        found = pq.read_metadata(path).metadata or {}
    except (OSError, ValueError, pa.ArrowException):
        return {}
    return {name.decode(): value.decode() for name, value in found.items()}


def _temporary_name(end: str) -> str:
    # the end of a long name is enough: file systems allow 255 characters
    return f".tmp-{socket.gethostname()}.{_process_ids()}-{os.getpid()}-{_PROCESS}-{next(_numbers)}-{end[-60:]}"


def _flush(path: Path) -> None:
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.is_file():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())


def remove(path: Path) -> None:
    """Delete a file or folder. Errors are ignored: `Store.remove_abandoned` deletes the rest later."""
    with suppress(OSError):
        rmtree(path) if path.is_dir() else path.unlink()


def is_abandoned(path: Path) -> bool:
    """Return whether this is a temporary file of a process of this host that no longer runs."""
    match = _TEMPORARY.fullmatch(path.name)
    if match is None or match["host"] != socket.gethostname():
        return False
    if match["ids"] != _process_ids():
        return _is_old(path)
    if int(match["pid"]) == os.getpid():
        return match["process"] != _PROCESS
    try:
        os.kill(int(match["pid"]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _process_ids() -> str:
    """Return which process ids this process sees. Containers with one host name can have ids of their own."""
    try:
        return str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        return "0"


def _is_old(path: Path) -> bool:
    with suppress(OSError):
        return time.time() - path.stat().st_mtime > OLD
    return False
