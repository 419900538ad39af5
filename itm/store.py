"""The only code that knows paths and file formats of the store: write beside, check, rename.

A reader therefore sees a whole file or none, and every page of a table carries a checksum, so that it sees no changed one
either. What a killed writer leaves behind carries its process number in its name, and `sweep` removes it once that process is
gone.
"""

import io
import json
import logging
import os
import re
import socket
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryFile
from typing import IO, Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from itm.errors import StoreError
from itm.keys import content_key, slug

log = logging.getLogger(__name__)

_TEMPORARY = re.compile(r"\.tmp-(?P<host>.+?)-(?P<pid>\d+)-(?P<process>[0-9a-f]{8})-\d+-.+")
_PROCESS = uuid.uuid4().hex[:8]  # a restarted container gives a new process the number and host name of the killed one
_numbers = count()
LONGEST = 150  # letters of a folder's name; file systems take 255, and what is written beside needs some of them


@dataclass(frozen=True)
class Store:
    """Where everything lies: what all rankings share below `root`, what belongs to one of them below `results`.

    Through `shared`, a URL or $NAME of a variable that holds it, stores of several machines exchange files; see itm.shared.
    """

    root: Path
    ranking_name: str | None = None
    shared: str | None = None

    @property
    def results(self) -> Path:
        """Return the folder of one ranking: the root itself, or a folder of its own for a ranking with a name."""
        if self.ranking_name is None:
            return self.root
        return self.root / "rankings" / self.ranking_name

    def of_ranking(self, name: str) -> "Store":
        """Return the store of the ranking called `name`, or of the only one whose name begins so.

        Raises
        ------
        StoreError
            If there is none, or more than one.
        """
        folder = self.root / "rankings"
        known = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        found = [one for one in known if one == name] or [one for one in known if one.startswith(name)]
        if len(found) != 1:
            state = f"several rankings begin with {name!r}" if found else f"there is no ranking {name!r}"
            raise StoreError(f"{state}; `itm show` takes one of: {', '.join(found or known) or 'none so far'}.")
        return replace(self, ranking_name=found[0])

    def make_folders(self) -> None:
        """Make the folders that DVC wants to see, also where nothing comes to lie in them."""
        for folder in ("indexes", "raw"):
            try:
                (self.results / folder).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(f"{self.root}: cannot be written ({error.strerror}); change `store` in params.") from error

    def raw(self, name: str) -> Path:
        """Return the folder of images that this library draws or unpacks itself."""
        return self.results / "raw" / file_name(name)

    def index(self, data: str) -> Path:
        """Return the Parquet index of a data set."""
        return self.results / "indexes" / f"{file_name(data)}.parquet"

    def exchanged(self, data_hash: str) -> Path:
        """Return the folder of what machines that see no images get of a data set: its index and its images."""
        return self.root / "cache" / "data" / data_hash

    def features(self, data: str, model: str, key: str) -> Path:
        """Return the feature file of a (model, data) pair with this content key."""
        return self.root / "cache" / "features" / file_name(data) / f"{file_name(model)}-{key[:16]}.parquet"

    def score(self, data: str, model: str, score: str, key: str) -> Path:
        """Return the file of one score on one pair with this content key."""
        return self.root / "cache" / "scores" / file_name(data) / file_name(model) / f"{file_name(score)}-{key[:16]}.json"

    @property
    def hashes(self) -> Path:
        """Return the record of what weight files hash to."""
        return self.root / "cache" / "hashes.json"

    def finetuning(self, data: str, model: str, run: str, key: str) -> Path:
        """Return the file of one fine-tuning run of a pair with this content key."""
        return self.root / "cache" / "finetuned" / file_name(data) / file_name(model) / f"{file_name(run)}-{key[:16]}.json"

    @property
    def finetuned(self) -> Path:
        """Return the table of all fine-tuning runs and failures."""
        return self.results / "finetuned" / "runs.parquet"

    @property
    def confirmed(self) -> Path:
        """Return the record of what fine-tuning the first of a ranking came to."""
        return self.results / "scores" / "confirmed.json"

    @property
    def scores(self) -> Path:
        """Return the long table of all scores and failures."""
        return self.results / "scores" / "scores.parquet"

    @property
    def ranking(self) -> Path:
        """Return the ranking record."""
        return self.results / "scores" / "ranking.json"

    @property
    def recommended(self) -> Path:
        """Return the record of which model is recommended for each data set."""
        return self.results / "recommended.json"

    @property
    def tracked(self) -> Path:
        """Return the record of what the tracker was told."""
        return self.results / "tracked.json"

    def refresh(self, number: int) -> Path:
        """Return the folder of one refresh: its record, its page and its log."""
        return self.results / "refreshes" / f"{number:06d}"

    @property
    def evaluation(self) -> Path:
        """Return the folder of what scores were judged to be worth; it belongs to no ranking."""
        return self.root / "evaluation"

    @property
    def reports(self) -> Path:
        """Return the folder of the page and its figures."""
        return self.results / "reports"

    def sweep(self) -> int:
        """Remove what killed writers of this host left half-written, and return how many there were."""
        left: list[Path] = []
        for where, folders, files in os.walk(self.root):  # passes over folders that others rename meanwhile
            left += [Path(where, name) for name in (*folders, *files) if _is_abandoned(name)]
            folders[:] = [name for name in folders if not name.startswith(".tmp-")]
        for path in left:
            log.warning("removing %s, left half-written by a process that is gone", path)
            _remove(path)
        return len(left)


def file_name(name: str) -> str:
    """Return a name's slug, the end of a long one replaced by a hash of it."""
    whole = slug(name)
    return whole if len(whole) <= LONGEST else f"{whole[:LONGEST]}~{content_key(whole)[:16]}"


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
        _remove(temporary)


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


def _remove(path: Path) -> None:
    with suppress(OSError):  # it must not hide another error; what stays is found by the next sweep
        rmtree(path) if path.is_dir() else path.unlink()


def _is_abandoned(name: str) -> bool:
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
