"""Files that appear whole or not at all: written under a temporary name, flushed, renamed."""

import io
import json
import logging
import os
import re
import socket
import uuid
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryFile
from typing import IO, Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from itm.core.errors import StoreError

log = logging.getLogger(__name__)

_TEMPORARY = re.compile(r"\.tmp-(?P<host>.+?)-(?P<pid>\d+)-(?P<process>[0-9a-f]{8})-\d+-.+")
_PROCESS = uuid.uuid4().hex[:8]  # a restarted container gives a new process the number and host name of the killed one
_numbers = count()


def write_beside(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file or folder beside `path`, then rename it into place.

    Raises
    ------
    StoreError
        If the folder cannot be written to or the disk is full; `path` is then what it was before.
    """
    temporary = path.parent / _temporary_name(path.name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        _flush(temporary)
        temporary.replace(path)
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be written ({error.strerror or error}); free space, allow writing there, or change `store`."
        ) from error
    finally:
        remove(temporary)


def scratch_file(folder: Path) -> IO[bytes]:
    """Open a file in `folder` without a name: it is gone once nobody uses it, also when its process is killed."""
    return TemporaryFile(dir=folder, prefix=_temporary_name(""))  # `sweep` knows the name it has for a moment on some systems


def write_text(path: Path, text: str) -> None:
    """Write `text` as it is, its lines ending the same way on every system."""

    def write(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8", newline="\n")

    write_beside(path, write)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as `as_json` puts it."""
    write_text(path, as_json(value))


def as_json(value: Any) -> str:
    """Return `value` as readable JSON with sorted keys; equal values give equal text."""
    stream = io.StringIO()  # to write a million pieces one by one takes a third of the memory of joining them
    json.dump(value, stream, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
    return stream.getvalue() + "\n"


def read_json(path: Path) -> Any:
    """Read what `write_json` wrote.

    Raises
    ------
    StoreError
        If the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise StoreError(f"{path}: is damaged ({error}); remove it and run again.") from error


def write_table(path: Path, table: pl.DataFrame) -> None:
    """Write a table of ordinary columns as Parquet; equal tables give equal bytes."""
    arrow = table.to_arrow()  # polars itself writes no checksums
    write_beside(path, lambda temporary: pq.write_table(arrow, temporary, write_page_checksum=True, store_schema=False))


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
        raise StoreError(f"{path}: is missing.") from error
    except (OSError, ValueError, pa.ArrowException) as error:
        raise StoreError(f"{path}: is damaged or cannot be read ({error}); remove it and run again.") from error


def _temporary_name(end: str) -> str:
    return f".tmp-{socket.gethostname()}-{os.getpid()}-{_PROCESS}-{next(_numbers)}-{end}"


def _flush(path: Path) -> None:
    """Bring a file's bytes to the disk before its name says that it is whole."""
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.is_file():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())


def remove(path: Path) -> None:
    with suppress(OSError):  # it must not hide another error; what stays is found by the next sweep
        rmtree(path) if path.is_dir() else path.unlink()


def is_abandoned(name: str) -> bool:
    match = _TEMPORARY.fullmatch(name)
    if match is None or match["host"] != socket.gethostname():
        return False
    if int(match["pid"]) == os.getpid():
        return match["process"] != _PROCESS
    try:
        os.kill(int(match["pid"]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
