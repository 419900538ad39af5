"""Tar files that itm writes into the store, for images that cannot be read at random where they are.

A compressed tar file can only be read from its beginning. It is written again without compression, once, as one file whose
members are read in place. No member becomes a file of its own, so no name can lead anywhere. The file is replaced when its
source changes, and it can be removed at any time.
"""

import bz2
import gzip
import logging
import lzma
import tarfile
import zlib
from collections.abc import Callable
from io import BufferedIOBase
from pathlib import Path
from shutil import disk_usage

from filelock import FileLock

from itm.core.errors import DataError, StoreError, cause
from itm.core.keys import content_key
from itm.data.archives.members import LARGEST
from itm.data.archives.tar_file import REAL_SIZE, StrictTarInfo, as_member
from itm.store.files import remove, write_atomically
from itm.store.hash_cache import file_state
from itm.store.layout import Store, file_name

log = logging.getLogger(__name__)

UNPACKED = 1  # raise it when a change here changes the unpacked files
DAMAGE = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError)
ZSTD = b"\x28\xb5\x2f\xfd"
_Opener = Callable[[Path], BufferedIOBase]
_OPEN: dict[bytes, _Opener] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ": lzma.LZMAFile,
}


def readable_tar(path: Path, store: Store) -> Path:
    """Return a tar file whose members can be read at random: `path` itself, or its unpacked copy in the store.

    Raises
    ------
    DataError
        If it cannot be read or is damaged.
    StoreError
        If the copy cannot be written.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(6)
        state = file_state(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({cause(error)}); check the path and its permissions.") from error
    unpack = next((open_ for mark, open_ in _OPEN.items() if head.startswith(mark)), None)
    if head.startswith(ZSTD):
        raise DataError(
            f"{path}: is compressed by zstd, which is not read; unpack it (unzstd {path.name}) and name the tar file."
        )
    if unpack is None:
        return path

    def write(copy: Path) -> None:
        log.info("unpacking %s once into %s", path, store.unpacked)
        _copy(path, unpack, copy)

    return written_tar(str(path.absolute()), [state.size, state.modified, state.inode], write, store)


def written_tar(name: str, state: object, write: Callable[[Path], None], store: Store) -> Path:
    """Return the tar file that `write` makes from the source `name` in this state, after writing it if it is missing.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    folder = store.unpacked / f"{file_name(Path(name).name)}-{content_key(name)[:16]}"
    target = folder / f"{content_key([UNPACKED, state])[:16]}.tar"
    if target.exists():
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "write.lock"):
            if not target.exists():
                write_atomically(target, write)
                for other in folder.glob("[!.]*.tar"):  # of an earlier state
                    if other != target:
                        remove(other)
    except OSError as error:
        raise StoreError(f"{target}: cannot be written ({cause(error)}); free space or change `store` in params.") from error
    return target


def _copy(path: Path, unpack: _Opener, copy: Path) -> None:
    """Write the members of a compressed tar file. Of one that is too large for an image, only the name and size are kept."""
    free = disk_usage(copy.parent).free
    with tarfile.open(copy, "w", format=tarfile.PAX_FORMAT) as out:
        try:
            with unpack(path) as stream, tarfile.open(fileobj=stream, mode="r|", tarinfo=StrictTarInfo) as tar:
                while (member := tar.next()) is not None:
                    tar.members.clear()  # type: ignore[attr-defined]
                    if max(tar.offset, out.offset) + member.size > free:
                        raise _bomb(path, copy)
                    _add(out, tar, member)
                while stream.read(2**20):  # the checksum is at the end
                    pass
        except DAMAGE as error:
            if isinstance(error, OSError) and error.errno:  # of the disk, not of the archive
                raise
            raise DataError(f"{path}: is truncated or damaged ({cause(error)}); copy or download it again.") from error


def _add(out: tarfile.TarFile, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    if not member.isreg():
        out.addfile(member)
        return
    copy = as_member(member.name, member.size)
    if member.size > LARGEST:
        copy.size, copy.pax_headers = 0, {REAL_SIZE: str(member.size)}
    out.addfile(copy, tar.extractfile(member) if copy.size else None)


def _bomb(path: Path, copy: Path) -> DataError:
    return DataError(f"{path}: unpacks to more than the free space of {copy.parent.absolute()}; free space or change `store`.")
