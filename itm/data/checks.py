"""Looks at every image once: its bytes are hashed and decoded, and what cannot be used is set aside with a reason."""

import hashlib
import os
import stat
import warnings
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from itm.data.pixels import read_rgb
from itm.data.rows import Row

Sizes = Mapping[str, tuple[int, int]]  # id -> width and height of images that decoded before


def look_at(rows: Iterable[Row], known: Sizes) -> list[Row]:
    """Hash and decode the images of `rows` in several threads; bytes with a `known` id are hashed but not decoded again."""
    Image.init()  # not in the threads: they would all load the decoders at once
    # The filters belong to the whole process, so they are set here and not in the threads.
    with warnings.catch_warnings(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        warnings.simplefilter("ignore")  # odd metadata is no reason to bother anyone, and `read_rgb` refuses bombs itself
        return list(pool.map(lambda row: _look(row, known), rows))


def _look(row: Row, known: Sizes) -> Row:
    if not row.ok:
        return row
    path = Path(row.path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
            return row.set_aside("unreadable", "unreadable: not a regular file")
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            row = replace(row, id=digest)
            if stream.tell() == 0:
                return row.set_aside("empty", "empty: the file has 0 bytes")
            stream.seek(0)
            return _with_size(row, known[digest]) if digest in known else _decode(row, stream)
    except FileNotFoundError:
        return row.set_aside("missing", "missing: no such file")
    except (OSError, ValueError) as error:  # ValueError: a table may hold a path with a zero byte
        return row.set_aside("unreadable", f"unreadable: {getattr(error, 'strerror', None) or error}")


def _decode(row: Row, stream: BinaryIO) -> Row:
    try:
        return _with_size(row, read_rgb(stream).size)
    except UnidentifiedImageError:
        return row.set_aside("not an image", "not an image, or of a format that is not read here")
    except Image.DecompressionBombError as error:
        return row.set_aside("too large", f"too large: {error}")
    except Exception as error:  # decoders raise nearly anything on damaged bytes
        return row.set_aside("truncated or damaged", f"truncated or damaged: {error}")


def _with_size(row: Row, size: tuple[int, int]) -> Row:
    return replace(row, width=size[0], height=size[1])
