"""Ingest sources: check every image, reject unusable ones with a reason, and split the others."""

import logging
from collections.abc import Iterable, Sequence
from functools import partial

from itm.core.errors import DataError, ParamsError, is_expected, printable
from itm.core.secrets import error_message
from itm.core.sections import DataParams
from itm.core.text import join_names, pluralize
from itm.core.types import DataRef, Failure, TargetSpec
from itm.data.checks import check_images, settle_duplicates
from itm.data.image_hashes import ImageHashes
from itm.data.index import describe_index, listing_facts, previous_index, write_index
from itm.data.known import known_masks, known_sizes
from itm.data.masks import MaskReader
from itm.data.pack import publish_data
from itm.data.rows import Listing, Row
from itm.data.sampling import Check, sample
from itm.data.sources.parse import NamedSource, hidden_folder, parse_source
from itm.data.splits import assign_splits
from itm.data.targets import MOST_NAMES, check_targets, describe_rejected, read_targets
from itm.kinds import get_kind
from itm.store.layout import Store
from itm.store.mirror import check_shared

log = logging.getLogger(__name__)

INGEST = 2  # raise it when a change here, in a source or in a check changes an index


def ingest(source: str, params: DataParams, store: Store) -> DataRef:
    """Check, split and index the images of a source such as `folder:petals`, `csv:index.csv` or `digits`.

    The index is a Parquet file with one row per image that was checked. It depends only on the files, the text of the source
    and `params`. A second call reads only files that look changed, and decodes only images that the index does not have.

    Raises
    ------
    DataError
        If the text of the source is wrong, or its images or targets cannot be used.
    StoreError
        If the index cannot be written, or there is no space for the files that are sent to the shared place.
    """
    found = parse_source(source)
    if folder := hidden_folder(found):
        log.warning("%s: reading the built-in data set; write ./%s for the folder of this name", found.name, folder)
    containers = found.source.fingerprint() if found.source.has_containers else None
    listing = found.source.list(store)
    for level, texts in ((logging.INFO, listing.notes), (logging.WARNING, listing.warnings)):
        for text in texts:
            log.log(level, "%s", printable(text))
    if not listing.rows:
        raise DataError(f"{found.text}: there are no images; check the path.")
    facts = listing_facts(listing, INGEST, containers)
    kind = get_kind(found.source.kind)
    listing, spec = read_targets(found, listing, kind)
    _check_groups(found, listing.rows)
    if listing.legend is None and _is_hopeless(listing.rows, spec):  # no image has to be opened to know this
        check_targets(found, listing.rows, spec, params.max_images)
    index = store.index(found.name)
    before = previous_index(index)
    hashes, masks = ImageHashes(store.image_hashes(found.name), found.source), None
    if listing.legend:
        masks = MaskReader(found.source.open, listing.legend, known_masks(index, before, facts), hashes)
    known = known_sizes(index, before, INGEST)
    check: Check = partial(check_images, open_image=found.source.open, known=known, hashes=hashes, masks=masks)
    if not found.source.has_images:
        check = list
    rows = check(listing.rows) if params.max_images is None else sample(found, listing, params.max_images, params.seed, check)
    hashes.save()
    listed, has_splits = len(listing.rows), listing.has_splits
    del listing, check, hashes  # with a million images, each is hundreds of megabytes
    rows = settle_duplicates(rows)
    if masks:  # now that they are read, the targets are known
        checked, spec = read_targets(found, Listing(tuple(rows)), kind)
        rows = list(checked.rows)
    check_targets(found, rows, spec, params.max_images)
    if not has_splits:
        rows = assign_splits(rows, params.splits, params.seed)
        check_targets(found, rows, spec, params.max_images)  # groups may leave train without a class
    table = write_index(index, rows, before, facts)
    data = describe_index(found, index, table)
    _log_result(found, data, rows, listed)
    if has_splits:
        _log_absent(data, rows)
    publish_data(data, table, store)
    return data


def check_names(sources: Iterable[str]) -> None:
    """Raise an error if there is no source, or two have the same name."""
    named: dict[str, str] = {}
    for source in sources:
        name = short_name(source)
        if name in named:
            raise ParamsError(f"{named[name]} and {source} are both named {name!r}; leave one out or write NAME=SOURCE for it.")
        named[name] = source
    if not named:
        raise ParamsError("no data set is named; name one, for instance `itm rank folder:PATH`, or list them in data.sets.")


def ingest_all(params: DataParams, store: Store) -> tuple[tuple[DataRef, ...], tuple[Failure, ...]]:
    """Ingest all data sets of the parameters; return them, and those that failed with their reasons."""
    check_shared(store)
    found, failures = [], []
    for source in params.sets:
        try:
            found.append(ingest(source, params, store))
        except Exception as error:  # any error: the other data sets go on
            log.error("%s", error_message(error), exc_info=not is_expected(error))
            failures.append(Failure(short_name(source), "", "ingest", error_message(error)))
    return tuple(found), tuple(failures)


def short_name(source: str) -> str:
    """Return the name of a source, or its text if it cannot be parsed."""
    try:
        return parse_source(source).name
    except DataError:
        return source


def _check_groups(source: NamedSource, rows: Sequence[Row]) -> None:
    """Raise an error if the splits of the source divide a group."""
    splits: dict[str, set[str]] = {}
    for row in rows:
        if row.group and row.split:
            splits.setdefault(row.group, set()).add(row.split)
    if torn := sorted(group for group, names in splits.items() if len(names) > 1):
        others = f" (and {pluralize(len(torn) - 1, 'other group')} in several splits)" if torn[1:] else ""
        raise DataError(
            f"{source.text}: the group {torn[0]!r} is in {' and '.join(sorted(splits[torn[0]]))}{others}; "
            "a group must be in one split. Correct the column split, or remove it."
        )


def _is_hopeless(rows: Sequence[Row], spec: TargetSpec) -> bool:
    """Return whether no score is defined on the targets of all rows that are not rejected yet."""
    kind, targets = get_kind(spec.kind), [row.target for row in rows if row.ok]
    return not targets or bool(kind.problem(kind.encode(targets, spec)))


def _log_result(source: NamedSource, data: DataRef, rows: Sequence[Row], listed: int) -> None:
    if len(rows) < listed:
        log.info("%s: sampled %s of %s", data.name, f"{data.images:,}", pluralize(listed, "image"))
    if several := sum(row.one_of_several for row in rows):
        files = f"{pluralize(several, 'file')} {'has' if several == 1 else 'have'}"
        log.info("%s: %s several frames or pages; the first full picture is used", data.name, files)
    for warning in get_kind(data.target.kind).warnings(data.target):
        log.warning("%s: %s", data.name, warning)
    if data.rejected:
        count = f"{sum(data.rejected.values()):,} of {pluralize(len(rows), 'image')}"
        log.warning("%s: rejected %s: %s; see %s", data.name, count, describe_rejected(source, rows), data.index)


def _log_absent(data: DataRef, rows: Sequence[Row]) -> None:
    """Log the classes or labels that val or test of the source lack."""
    kind = get_kind(data.target.kind)
    for split in ("val", "test"):
        present = [row.target for row in rows if row.ok and row.split == split]
        if present and (absent := kind.absent(kind.encode(present, data.target), data.target)):
            names = join_names(list(map(repr, absent)), MOST_NAMES)
            log.warning("%s: the split %s has no image of %s", data.name, split, names)
