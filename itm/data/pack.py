"""Share a data set with other machines: its index and its images, under the hash of the data.

The images are sent as one tar file: an object store takes minutes for thousands of files and seconds for one. Each image is
named by its SHA-256, which is checked when it is unpacked.
"""

import hashlib
import logging
import re
import tarfile
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import IO

import polars as pl
from filelock import FileLock

from itm.core.errors import DataError, StoreError
from itm.core.text import pluralize
from itm.core.types import DataRef
from itm.data.pixels import Open, open_file
from itm.data.sources.parse import parse_source
from itm.kinds.mask_target import MaskTarget
from itm.store.files import write_atomically, write_table
from itm.store.layout import Store
from itm.store.mirror import is_shared, missing_error, open_shared, publish

log = logging.getLogger(__name__)

INDEX, PACK, IMAGES = "index.parquet", "images.tar", "images"
_ID = re.compile(r"[0-9a-f]{64}")


def publish_data(data: DataRef, table: pl.DataFrame, store: Store) -> None:
    """Send the index and the images of a data set to the shared place, if there is one and it lacks them."""
    if store.shared is None:
        return
    folder = store.shared_data(data.hash)
    if not (folder / INDEX).exists():
        write_table(folder / INDEX, table)
    publish(store, folder / INDEX)
    source = parse_source(data.source).source
    if not source.has_images:
        return
    pack = folder / PACK
    if is_shared(store, pack):
        return
    log.info("%s: sending %s to the shared place", data.name, pluralize(data.images, "image"))
    try:
        write_atomically(pack, partial(_write_pack, table.filter(status="ok"), source.open))
        publish(store, pack)
    finally:
        pack.unlink(missing_ok=True)


def with_images_here(rows: pl.DataFrame, data: DataRef, store: Store) -> tuple[pl.DataFrame, Open]:
    """Return rows of an index whose paths can be opened on this machine, and the function that opens them.

    If one image cannot be opened here, all images come from the shared place.
    """
    source = parse_source(data.source).source
    if store.shared is None or all(map(source.is_available, [*rows["path"], *_masks(rows).values()])):
        return rows, source.open
    folder = store.shared_data(data.hash) / IMAGES
    _unpack(data, data.images + len(_masks(rows)), folder, store)
    here = rows.with_columns(path=pl.concat_str(pl.lit(f"{folder}/"), "id"))
    if "mask" in rows.columns:
        here = here.with_columns(mask=pl.Series([f"{folder}/{MaskTarget.read(text).id}" for text in rows["target"]]))
    return here, open_file


def _masks(rows: pl.DataFrame) -> dict[str, str]:
    """Return the location of each mask of usable images by its id."""
    if "mask" not in rows.columns:
        return {}
    return {MaskTarget.read(text).id: mask for text, mask in rows.select("target", "mask").iter_rows()}


def _write_pack(rows: pl.DataFrame, open_image: Open, path: Path) -> None:
    with tarfile.open(path, "w") as pack:
        for name, location in [*rows.select("id", "path").iter_rows(), *_masks(rows).items()]:
            entry = tarfile.TarInfo(name)
            try:
                with open_image(location) as stream:
                    content = stream.read()
            except OSError as error:
                raise DataError(f"{location} can no longer be read ({error.strerror or error}); ingest again.") from error
            entry.size = len(content)
            pack.addfile(entry, BytesIO(content))


def _unpack(data: DataRef, least: int, folder: Path, store: Store) -> None:
    """Unpack all files of a data set once on this machine, however many processes ask for them at the same time.

    There are `least` or more: images, and their masks.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{IMAGES}.lock")):
        if folder.is_dir():
            return
        pack = folder.with_name(PACK)
        log.info("%s: fetching %s not on this machine", data.name, pluralize(data.images, "image"))

        def write(temporary: Path) -> None:
            with open_shared(store, pack, urgent=True) as stream:
                if stream is None:
                    raise missing_error(store, pack)
                found = _unpacked(stream, temporary, data.name)
            if found < least:
                raise _damaged(data.name, f"it holds {found} of {least} files")

        write_atomically(folder, write)


def _unpacked(stream: IO[bytes], folder: Path, name: str) -> int:
    """Write the images of a pack into a folder, each under its hash and nothing else, and return how many there are."""
    folder.mkdir()
    try:
        with tarfile.open(fileobj=stream, mode="r|") as pack:
            for entry in pack:
                content = pack.extractfile(entry)
                if not _ID.fullmatch(entry.name) or content is None:
                    raise _damaged(name, f"{entry.name!r} is not an image")
                image = content.read()
                if hashlib.sha256(image).hexdigest() != entry.name:
                    raise _damaged(name, f"image {entry.name[:12]} was changed")
                (folder / entry.name).write_bytes(image)
    except tarfile.TarError as error:
        raise _damaged(name, str(error)) from error
    return len(list(folder.iterdir()))


def _damaged(name: str, why: str) -> StoreError:
    return StoreError(f"{name}: {PACK} in the shared place is damaged ({why}); remove it there and ingest again.")
