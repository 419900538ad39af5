"""What of a data set is exchanged with machines that see neither its index nor its images: both, under the hash of the data.

The images are sent as one tar, since an object store takes minutes for thousands of files and seconds for one. The names in it
are their SHA-256, so that each image proves itself when it is unpacked.
"""

import hashlib
import logging
import re
import tarfile
from functools import partial
from pathlib import Path
from typing import IO

import polars as pl
from filelock import FileLock

from itm.core.errors import DataError, StoreError
from itm.core.types import DataRef
from itm.store.files import write_beside, write_table
from itm.store.layout import Store
from itm.store.mirror import is_shared, missing, opened, publish

log = logging.getLogger(__name__)

INDEX, PACK, IMAGES = "index.parquet", "images.tar", "images"
_ID = re.compile(r"[0-9a-f]{64}")


def publish_data(data: DataRef, table: pl.DataFrame, store: Store) -> None:
    """Send the index and the images of a data set to the shared place, if there is one and it lacks them.

    Raises
    ------
    DataError
        If an image can no longer be read.
    StoreError
        If there is no room for them here on their way.
    """
    if store.shared is None:
        return
    folder = store.exchanged(data.hash)
    if not (folder / INDEX).exists():
        write_table(folder / INDEX, table)
    publish(store, folder / INDEX)
    pack = folder / PACK
    if is_shared(store, pack):
        return
    log.info("%s: sending %s images to the shared place", data.name, f"{data.images:,}")
    try:
        write_beside(pack, partial(_write_pack, table.filter(status="ok")))
        publish(store, pack)
    finally:
        pack.unlink(missing_ok=True)


def with_images_here(rows: pl.DataFrame, data: DataRef, store: Store) -> pl.DataFrame:
    """Return rows of an index with paths that exist on this machine; where one does not, all images come from the shared place.

    Raises
    ------
    StoreError
        If the shared place has not all of them, or there is no room for them here.
    """
    if store.shared is None or all(map(_is_file, rows["path"])):
        return rows
    folder = store.exchanged(data.hash) / IMAGES
    _unpack(data, folder, store)
    return rows.with_columns(path=pl.concat_str(pl.lit(f"{folder}/"), "id"))


def _is_file(path: str) -> bool:
    return Path(path).is_file()


def _write_pack(rows: pl.DataFrame, path: Path) -> None:
    with tarfile.open(path, "w") as pack:
        for name, image in rows.select("id", "path").iter_rows():
            entry = tarfile.TarInfo(name)
            try:
                entry.size = Path(image).stat().st_size
                with Path(image).open("rb") as stream:
                    pack.addfile(entry, stream)
            except FileNotFoundError as error:
                raise DataError(f"{image} can no longer be read ({error.strerror}); ingest again.") from error


def _unpack(data: DataRef, folder: Path, store: Store) -> None:
    """Unpack all images of a data set once on this machine, however many processes ask for them at the same time."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{IMAGES}.lock")):
        if folder.is_dir():
            return
        pack = folder.with_name(PACK)
        log.info("%s: fetching %s images, which this machine does not see", data.name, f"{data.images:,}")

        def write(temporary: Path) -> None:
            with opened(store, pack, urgent=True) as stream:
                if stream is None:
                    raise missing(store, pack)
                found = _unpacked(stream, temporary, data.name)
            if found != data.images:
                raise _damaged(data.name, f"it holds {found} of {data.images} images")

        write_beside(folder, write)


def _unpacked(stream: IO[bytes], folder: Path, name: str) -> int:
    """Write the images of a pack into a folder, each under its hash and nothing else, and return how many there are."""
    folder.mkdir()
    try:
        with tarfile.open(fileobj=stream, mode="r|") as pack:
            for entry in pack:
                content = pack.extractfile(entry)
                if not _ID.fullmatch(entry.name) or content is None:
                    raise _damaged(name, "it holds what is no image")
                image = content.read()
                if hashlib.sha256(image).hexdigest() != entry.name:
                    raise _damaged(name, f"image {entry.name[:12]} was changed")
                (folder / entry.name).write_bytes(image)
    except tarfile.TarError as error:
        raise _damaged(name, str(error)) from error
    return len(list(folder.iterdir()))


def _damaged(name: str, why: str) -> StoreError:
    return StoreError(f"{name}: {PACK} in the shared place is damaged ({why}); remove it there and ingest again.")
