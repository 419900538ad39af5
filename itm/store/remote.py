"""A folder on any file system of fsspec. Its errors are translated and contain no credentials."""

import errno
import logging
import os
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import fsspec

from itm.core.errors import StoreError

log = logging.getLogger(__name__)

PAUSE = 30.0  # seconds without requests after a failure
OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az"}  # an object appears only when its upload is complete
_AUTHORITY = re.compile(r"//([^/]*)@")
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}

_unreachable_until: dict[str, float] = {}


class NotFoundError(StoreError):
    """The shared folder does not have the file."""


class UnreachableError(StoreError):
    """The shared folder cannot be reached."""


class SharedFolder:
    """The folder at a URL, which ``$NAME`` reads from the environment of this machine.

    Call all methods that access files within `translate_errors`.

    Raises
    ------
    StoreError
        If the variable is not set, or a URL that is not from the environment contains credentials.
    """

    def __init__(self, shared: str) -> None:
        self.url = os.environ.get(shared[1:], "") if shared.startswith("$") else shared
        if not self.url:
            raise StoreError(
                f"shared is {shared!r}, but the environment variable {shared[1:]} is not set; set it on each machine."
            )
        if self.url == shared and _AUTHORITY.search(self.url):
            raise StoreError(
                "shared contains credentials, which params must not; put the URL into an environment variable and write $NAME."
            )
        self.shown = _AUTHORITY.sub("//", self.url.partition("?")[0]).rstrip("/")

    @contextmanager
    def translate_errors(self, urgent: bool = False) -> Iterator[None]:
        """Translate the errors of the file system. Without `urgent`, fail at once for `PAUSE` seconds after a failure.

        Raises
        ------
        NotFoundError
            If a file does not exist.
        UnreachableError
            If the folder cannot be reached. Without `urgent` the error is also logged.
        StoreError
            If no file system for the URL is installed.
        """
        if not urgent and time.monotonic() < _unreachable_until.get(self.url, 0):
            raise UnreachableError(f"{self.shown}: could not be reached a moment ago.")
        try:
            yield
        except StoreError:
            raise
        except FileNotFoundError:
            raise NotFoundError(f"{self.shown}: the file does not exist.") from None
        except Exception as error:  # each file system has its own error types
            if isinstance(error, OSError) and error.errno in _DISK_FULL:
                raise
            unreachable = UnreachableError(
                f"{self.shown}: cannot be reached ({self._message(error)}); check the network, the address and the credentials "
                "in the environment, or change `shared` in params."
            )
            _unreachable_until[self.url] = time.monotonic() + PAUSE
            if not urgent:
                log.warning("%s", unreachable)
            raise unreachable from None  # the error can contain credentials

    def exists(self, name: str) -> bool:
        return bool(self._files.exists(self._path(name)))

    def size(self, name: str) -> int:
        """Return the size of a file in bytes."""
        return int(self._files.size(self._path(name)))

    def open(self, name: str) -> IO[bytes]:
        """Open a file for reading without downloading it."""
        stream: IO[bytes] = self._files.open(self._path(name), "rb")
        return stream

    def get(self, name: str, path: Path) -> None:
        """Download a file to `path`."""
        self._files.get_file(self._path(name), str(path))

    def put(self, path: Path, name: str) -> None:
        """Upload a file. Unless uploads are atomic, use a temporary name first."""
        if self._is_object_store:
            self._files.put_file(str(path), self._path(name))
            return
        self._files.makedirs(self._path(name).rpartition("/")[0], exist_ok=True)
        part = f"{self._path(name)}.part-{uuid.uuid4().hex}"
        try:
            self._files.put_file(str(path), part)
            self._files.mv(part, self._path(name))
        except BaseException:
            with suppress(Exception):  # keep the first error
                self._files.rm_file(part)
            raise

    def put_text(self, text: str, name: str) -> None:
        if not self._is_object_store:
            self._files.makedirs(self._path(name).rpartition("/")[0], exist_ok=True)
        self._files.pipe_file(self._path(name), text.encode())

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        try:
            files, folder = fsspec.url_to_fs(self.url, use_listings_cache=False)  # other machines change the folder
        except (ImportError, ValueError) as error:
            raise StoreError(
                f"{self.shown}: cannot be used ({self._message(error)}); for s3:// run pip install 'itm-rank[s3]', "
                "or change `shared` in params."
            ) from None
        return files, folder.rstrip("/")

    @property
    def _files(self) -> Any:
        return self._opened[0]

    def _path(self, name: str) -> str:
        return f"{self._opened[1]}/{name}"

    @property
    def _is_object_store(self) -> bool:
        names = self._files.protocol
        return bool(OBJECT_STORES & ({names} if isinstance(names, str) else set(names)))

    def _message(self, error: Exception) -> str:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        authority = _AUTHORITY.search(self.url)
        secrets = [self.url, *([authority[1], *authority[1].split(":")] if authority else [])]
        for secret in filter(None, secrets if self.url != self.shown else []):
            text = text.replace(secret, "...")
        return text[:300]
