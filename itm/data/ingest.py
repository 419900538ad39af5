"""From a source to an index: every image looked at once, what cannot be used set aside with its reason, and the rest split."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from itm.core.errors import DataError
from itm.core.sections import DataParams
from itm.core.types import DataRef
from itm.data.checks import look_at
from itm.data.duplicates import settle_duplicates
from itm.data.index import index_before, known_sizes, table_hash, write_index
from itm.data.pack import publish_data
from itm.data.rows import Kind, Listing, Row
from itm.data.sampling import sample
from itm.data.sources.folder import list_folder
from itm.data.sources.generated import digits_folder, made_folder
from itm.data.sources.parse import Source, parse_source
from itm.data.sources.table import list_table
from itm.data.splits import assign_splits
from itm.store.layout import Store

log = logging.getLogger(__name__)


def ingest(source: str, params: DataParams, store: Store) -> DataRef:
    """Check, split and index the images of a source such as `folder:petals`, `csv:index.csv`, `digits` or `made:shapes`.

    The index is a Parquet file with a row for every image looked at, those set aside included. It depends on the files, the
    source's text and `params` only. A second call reads all bytes again but decodes only images that the index does not know.

    Raises
    ------
    DataError
        If the source's text is wrong, or what it names is not a set of images of at least two classes with two images each.
    StoreError
        If the index cannot be written, or there is no room for what is sent to the shared place.
    """
    found = parse_source(source)
    listing = _list(found, store)
    _check_classes(found, listing)
    index = store.index(found.name)
    before = index_before(index)
    look = partial(look_at, known=known_sizes(before))
    rows = look(listing.rows) if params.max_images is None else sample(listing, params.max_images, params.seed, look)
    rows = settle_duplicates(rows)
    _check_usable(found, listing, rows, params)
    if not listing.has_splits:
        rows = assign_splits(rows, params.splits, params.seed)
    table = write_index(index, rows, listing.classes, before)
    set_aside = _count_set_aside(rows)
    _say(found, listing, rows, set_aside, index)
    data = DataRef(
        name=found.name,
        source=found.text,
        index=index,
        hash=table_hash(table),
        classes=listing.classes,
        images=sum(row.ok for row in rows),
        set_aside={str(kind): count for kind, count in set_aside.items()},
    )
    publish_data(data, table, store)
    return data


def _list(source: Source, store: Store) -> Listing:
    if source.made is not None:
        return list_folder(made_folder(source.made, store))
    if source.kind == "digits":
        return list_folder(digits_folder(store))
    if source.kind == "csv" or source.kind == "parquet":
        return list_table(source.path, source.kind)
    return list_folder(source.path)


def _check_classes(source: Source, listing: Listing) -> None:
    if not listing.rows:
        raise DataError(f"{source.text}: there are no images; check that this is the right place.")
    if len(listing.classes) == 1:
        raise DataError(f"{source.text}: there is only one class, {listing.classes[0]!r}; a ranking needs two or more.")


def _check_usable(source: Source, listing: Listing, rows: Sequence[Row], params: DataParams) -> None:
    usable = Counter(row.class_name for row in rows if row.ok)
    few = [f"{name!r} ({usable[name]})" for name in listing.classes if usable[name] < 2]
    if few:
        set_aside = _in_words(_count_set_aside(rows))
        limit = "" if params.max_images is None else f", or raise max_images, which is {params.max_images}"
        raise DataError(
            f"{source.text}: {'these classes have' if len(few) > 1 else 'this class has'} fewer than two usable images: "
            f"{', '.join(few)}; add images or remove the class{'es' if len(few) > 1 else ''}{limit}."
            f"{f' Set aside: {set_aside}.' if set_aside else ''}"
        )
    if listing.has_splits:
        trained = {row.class_name for row in rows if row.ok and row.split == "train"}
        unknown = [repr(name) for name in listing.classes if name not in trained]
        if unknown:
            raise DataError(
                f"{source.text}: val or test has classes that train lacks: {', '.join(unknown)}; "
                f"add images of them to train or remove them."
            )


def _say(source: Source, listing: Listing, rows: Sequence[Row], set_aside: Mapping[Kind, int], index: Path) -> None:
    if len(rows) < len(listing.rows):
        usable = sum(row.ok for row in rows)
        log.info("%s: sampled %s of %s images", source.name, f"{usable:,}", f"{len(listing.rows):,}")
    if set_aside:
        count, looked = f"{sum(set_aside.values()):,}", f"{len(rows):,}"
        log.warning("%s: %s of %s images set aside: %s; see %s", source.name, count, looked, _in_words(set_aside), index)


def _count_set_aside(rows: Sequence[Row]) -> dict[Kind, int]:
    return dict(sorted(Counter(row.kind for row in rows if row.kind is not None).items()))


def _in_words(set_aside: Mapping[Kind, int]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in set_aside.items())
