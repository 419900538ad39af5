"""Archives that were listed in this process: a listing of thousands of members is kept while the archive is unchanged."""

import os
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from itm.data.archives.members import Archive, split
from itm.data.archives.tar_file import read_tar
from itm.data.archives.zip_file import ZippedFile, is_zip
from itm.store.hash_cache import FileState, file_state

MOST = 4096  # archives, such as shards of one data set
_lock = Lock()  # threads that open the first images would all list the same archive


def open_archive(path: str | Path) -> Archive:
    """Return the members of a zip file or of a tar file without compression.

    Raises
    ------
    DataError
        If it is neither, or damaged.
    OSError
        If there is no such file.
    """
    with _lock:
        return _open(str(path), file_state(Path(path)), os.getpid())


def open_member(location: str) -> BinaryIO:
    """Return an image of an archive by its location.

    Raises
    ------
    OSError
        If the archive or the member is gone or damaged.
    """
    path, name = split(location)
    return open_archive(path).open(name)


@lru_cache(MOST)
def _open(path: str, state: FileState, process: int) -> Archive:  # noqa: ARG001  (a fork must not share the place in a file)
    return ZippedFile(Path(path)) if is_zip(Path(path)) else read_tar(Path(path))
