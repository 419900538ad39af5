"""A folder of any file system that fsspec knows, asked in few words; its errors are ours and hold no credentials."""

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

PAUSE = 30.0  # seconds
WHOLE_OR_NOTHING = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az"}  # an object appears once all of it has arrived
_AUTHORITY = re.compile(r"//([^/]*)@")
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}

_away_until: dict[str, float] = {}


class AbsentError(StoreError):
    """The place has no such file."""


class AwayError(StoreError):
    """The place cannot be reached."""


class Place:
    """The folder at a URL, or at the URL that the environment variable of a $NAME holds on this machine.

    All methods that ask it are called within `asked`.

    Raises
    ------
    StoreError
        If there is no such variable, or the URL has credentials and is not from the environment.
    """

    def __init__(self, shared: str) -> None:
        self.url = os.environ.get(shared[1:], "") if shared.startswith("$") else shared
        if not self.url:
            raise StoreError(f"shared is {shared!r}, but the environment has no {shared[1:]} here; set it on each machine.")
        if self.url == shared and _AUTHORITY.search(self.url):
            raise StoreError("shared holds credentials, which params must not; write $NAME of a variable with the URL.")
        self.shown = _AUTHORITY.sub("//", self.url.partition("?")[0]).rstrip("/")

    @contextmanager
    def asked(self, urgent: bool = False) -> Iterator[None]:
        """Turn what the file system raises into errors of ours; unless it is urgent, do not ask who did not answer just now.

        Raises
        ------
        AbsentError
            If a file is not there.
        AwayError
            If the place cannot be reached; unless it is urgent, that is logged too, once in `PAUSE` seconds.
        StoreError
            If there is no file system for such URLs here.
        """
        if not urgent and time.monotonic() < _away_until.get(self.url, 0):
            raise AwayError(f"{self.shown}: was not reached just now.")
        try:
            yield
        except StoreError:
            raise
        except FileNotFoundError:
            raise AbsentError(f"{self.shown}: has no such file.") from None
        except Exception as error:  # each file system has errors of its own
            if isinstance(error, OSError) and error.errno in _DISK_FULL:
                raise
            away = AwayError(
                f"{self.shown}: cannot be reached ({self._told(error)}); check the network, the address and the credentials "
                "in the environment, or change `shared` in params."
            )
            _away_until[self.url] = time.monotonic() + PAUSE
            if not urgent:
                log.warning("%s", away)
            raise away from None  # the error itself may hold credentials

    def exists(self, name: str) -> bool:
        """Say whether there is a file of this name."""
        return bool(self._files.exists(self._of(name)))

    def size(self, name: str) -> int:
        """Return the bytes of a file."""
        return int(self._files.size(self._of(name)))

    def open(self, name: str) -> IO[bytes]:
        """Open a file where it lies."""
        stream: IO[bytes] = self._files.open(self._of(name), "rb")
        return stream

    def get(self, name: str, path: Path) -> None:
        """Write a file of the place to `path`."""
        self._files.get_file(self._of(name), str(path))

    def put(self, path: Path, name: str) -> None:
        """Send a file; where it does not appear whole or not at all, under another name first."""
        if self._is_object_store:
            self._files.put_file(str(path), self._of(name))
            return
        self._files.makedirs(self._of(name).rpartition("/")[0], exist_ok=True)
        part = f"{self._of(name)}.part-{uuid.uuid4().hex}"
        try:
            self._files.put_file(str(path), part)
            self._files.mv(part, self._of(name))
        except BaseException:
            with suppress(Exception):  # it must not hide the other
                self._files.rm_file(part)
            raise

    def put_text(self, text: str, name: str) -> None:
        """Write a few words into the place."""
        if not self._is_object_store:
            self._files.makedirs(self._of(name).rpartition("/")[0], exist_ok=True)
        self._files.pipe_file(self._of(name), text.encode())

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        try:
            files, folder = fsspec.url_to_fs(self.url, use_listings_cache=False)  # others change what is listed
        except (ImportError, ValueError) as error:
            raise StoreError(
                f"{self.shown}: cannot be used ({self._told(error)}); for s3:// run pip install 'itm-rank[s3]', "
                "or change `shared` in params."
            ) from None
        return files, folder.rstrip("/")

    @property
    def _files(self) -> Any:
        return self._opened[0]

    def _of(self, name: str) -> str:
        return f"{self._opened[1]}/{name}"

    @property
    def _is_object_store(self) -> bool:
        names = self._files.protocol
        return bool(WHOLE_OR_NOTHING & ({names} if isinstance(names, str) else set(names)))

    def _told(self, error: Exception) -> str:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        secrets = [self.url, *([found[1], *found[1].split(":")] if (found := _AUTHORITY.search(self.url)) else [])]
        for secret in filter(None, secrets if self.url != self.shown else []):
            text = text.replace(secret, "...")
        return text[:300]
