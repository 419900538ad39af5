"""Check images: each is hashed and decoded, and rejected with a reason if it is unusable or a duplicate."""

import hashlib
import os
import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from typing import Any, BinaryIO, cast

from PIL import Image

from itm.core.parallel import map_ahead
from itm.data.image_hashes import ImageHashes
from itm.data.masks import MaskReader
from itm.data.pixels import Open, read_picture
from itm.data.problems import UnusableImageError
from itm.data.rows import Row

Sizes = Mapping[str, tuple[int, int]]  # id -> width and height of images that were decoded before
BATCH = 64  # images per task: scheduling a task takes longer than finding that a file is unchanged
_KEPT_FIRST = {"test": 0, "val": 1, "train": 2, None: 3}


def check_images(
    rows: Sequence[Row], open_image: Open, known: Sizes, hashes: ImageHashes, masks: MaskReader | None = None
) -> list[Row]:
    """Hash and decode images in several threads, and their masks if they have some.

    Images with a `known` id are not decoded again, and files that did not change are not even read.
    """
    Image.init()  # otherwise all threads load the decoders at once
    workers = min(8, os.cpu_count() or 1)
    size = max(1, min(BATCH, len(rows) // (4 * workers)))
    # Filters of warnings are global to the process, so they are set outside the threads.
    with warnings.catch_warnings(), ThreadPoolExecutor(workers) as pool:
        warnings.simplefilter("ignore")  # unusual metadata is harmless, and `read_picture` checks for decompression bombs
        batches = (rows[start : start + size] for start in range(0, len(rows), size))

        def check(batch: Sequence[Row]) -> list[Row]:
            checked = (_check(row, open_image, known, hashes) for row in batch)
            return [masks.complete(row) if masks and row.ok else row for row in checked]

        return [row for batch in map_ahead(pool, check, batches, 4 * workers) for row in batch]


def _check(row: Row, open_image: Open, known: Sizes, hashes: ImageHashes) -> Row:
    if not row.ok:
        return row
    state, digest = hashes.find(row.path)
    if digest and digest in known:
        return _with_size(replace(row, id=digest), known[digest])
    try:
        with open_image(row.path) as stream:
            digest = hashlib.file_digest(cast(Any, stream), "sha256").hexdigest()
            row = replace(row, id=digest)
            hashes.add(row.path, state, digest)
            if stream.seek(0, os.SEEK_END) == 0:  # hashing leaves a stream in memory where it was
                return row.reject("empty", "empty: the file has 0 bytes")
            stream.seek(0)
            return _with_size(row, known[digest]) if digest in known else _decode(row, stream)
    except FileNotFoundError:
        return row.reject("missing", "missing: no such file")
    except Exception as error:  # ValueError: a path with a zero byte; a source of a plug-in can raise anything
        return row.reject("unreadable", f"unreadable: {getattr(error, 'strerror', None) or error or type(error).__name__}")


def _decode(row: Row, stream: BinaryIO) -> Row:
    try:
        picture = read_picture(stream)
    except UnusableImageError as problem:
        return row.reject(problem.rejection, problem.reason)
    return _with_size(replace(row, one_of_several=picture.one_of_several), picture.image.size)


def _with_size(row: Row, size: tuple[int, int]) -> Row:
    return replace(row, width=size[0], height=size[1])


def settle_duplicates(rows: Sequence[Row]) -> list[Row]:
    """Reject duplicates: no image may count twice or be in two splits.

    Of several images with the same target, one in test is kept, otherwise one in val, otherwise one in train; within a split it
    is the first path. If the targets differ, all are rejected, since the right target is unknown.
    """
    ids = sorted(row.id for row in rows if row.ok and row.id is not None)
    repeated = {id_ for id_, following in pairwise(ids) if id_ == following}
    settled: list[Row] = []
    same: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.ok and row.id in repeated:
            same[row.id].append(row)
        else:
            settled.append(row)
    for group in same.values():
        settled += _settle(group)
    return sorted(settled, key=lambda row: row.place)


def _settle(group: list[Row]) -> list[Row]:
    targets = sorted({row.target for row in group})
    if len(targets) > 1:
        differ = "have different masks" if group[0].mask else f"are labelled {' and '.join(targets)}"
        reason = f"same bytes {differ}"
        return [row.reject("conflicting labels", reason) for row in group]
    kept, *others = sorted(group, key=lambda row: (_KEPT_FIRST[row.split], row.place))
    return [kept, *(_duplicate(row, kept) for row in others)]


def _duplicate(row: Row, kept: Row) -> Row:
    reason = f"duplicate of {kept.path}" if row.path != kept.path else "the source names this image more than once"
    return row.reject("duplicate" if row.split == kept.split else "duplicate in another split", reason)
