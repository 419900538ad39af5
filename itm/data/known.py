"""What an earlier run found out of images and masks, so that they are not decoded again."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from itm.data.index import LEGEND
from itm.data.masks import KnownMask
from itm.kinds.mask_target import MaskTarget
from itm.store.files import read_facts


def known_masks(index: Path, before: pl.DataFrame | None, facts: Mapping[str, str]) -> dict[str, KnownMask]:
    """Return the masks of usable images by id, if they were read by the same version with the same legend."""
    if before is None or any(read_facts(index).get(name) != facts[name] for name in ("version", LEGEND)):
        return {}
    usable = before.filter(status="ok").select("target", "width", "height")
    return {MaskTarget.read(target).id: KnownMask(target, width, height) for target, width, height in usable.iter_rows()}


def known_sizes(index: Path, before: pl.DataFrame | None, version: int) -> dict[str, tuple[int, int]]:
    """Return the sizes of decoded images by id, if the same `version` of ingestion decoded them.

    Images that failed are decoded again: a newer Pillow may read them.
    """
    if before is None or read_facts(index).get("version") != str(version):
        return {}
    decoded = before.filter(pl.col("width").is_not_null())
    return {id_: (width, height) for id_, width, height in decoded.select("id", "width", "height").iter_rows()}
