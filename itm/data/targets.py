"""Read the targets of listed images, and say why the images of a data set cannot be used."""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from itm.core.errors import DataError
from itm.core.labels import is_missing
from itm.core.text import join_names
from itm.core.types import TargetSpec
from itm.data.rows import Listing, Row
from itm.data.sources.parse import NamedSource
from itm.kinds import TaskKind, get_kind

log = logging.getLogger(__name__)

MOST_NAMES, LONGEST_PATH = 4, 300  # in a message


def read_targets(source: NamedSource, listing: Listing, kind: TaskKind) -> tuple[Listing, TargetSpec]:
    """Return the listing with canonical targets and strata, and the specification of the targets."""
    if listing.legend:  # they are in the masks, which are read together with the images
        return listing, kind.specify(())
    readings = {text: _read(kind, text) for text in {row.target for row in listing.rows}}
    forms: dict[str, set[str]] = defaultdict(set)
    for text, reading in readings.items():
        if isinstance(reading, str):
            forms[reading].add(text)
    names = [kind.read(name) for name in listing.names if not is_missing(name)]
    targets = [reading for row in listing.rows if isinstance(reading := readings[row.target], str)]
    spec = kind.specify([*names, *targets])
    if merged := [repr(name) for name in spec.names if len(forms.get(name, ())) > 1]:
        log.info(
            "%s: the spellings of %s differ in blanks at the ends or in Unicode form; read as one class",
            source.name,
            join_names(merged, MOST_NAMES),
        )
    strata = iter(_strata(kind, kind.encode(targets, spec)) if targets else ())
    return replace(listing, rows=tuple(_with_target(row, readings[row.target], strata) for row in listing.rows)), spec


def _read(kind: TaskKind, text: str) -> str | DataError:
    try:
        return kind.read(text)
    except DataError as error:
        return error


def _strata(kind: TaskKind, targets: np.ndarray) -> list[tuple[int, ...]]:
    """Return the strata of each row; rows with equal ones share a tuple, since there may be a million."""
    found = kind.strata(targets)
    if found.ndim == 1:
        single = {stratum: (stratum,) for stratum in np.unique(found).tolist()}
        return [single[stratum] for stratum in found.tolist()]
    same: dict[tuple[int, ...], tuple[int, ...]] = {}
    rows = (tuple(np.flatnonzero(row).tolist()) for row in found)
    return [same.setdefault(strata, strata) for strata in rows]


def _with_target(row: Row, reading: str | DataError, strata: Iterator[tuple[int, ...]]) -> Row:
    """Return a row with its target, and with the next strata if it has one."""
    if isinstance(reading, str):
        return replace(row, target=reading, strata=next(strata))
    return _without_target(row, reading) if row.ok else row


def _without_target(row: Row, error: DataError) -> Row:
    if not is_missing(row.target):
        return row.reject("wrong target", str(error))
    return row.reject("no label", row.has(str(error)))


def check_targets(source: NamedSource, rows: Sequence[Row], spec: TargetSpec, max_images: int | None) -> None:
    """Raise an error if there is no usable image, or the task kind cannot use the targets."""
    kind, usable = get_kind(spec.kind), [row for row in rows if row.ok]
    rejected = describe_rejected(source, rows)
    if not usable:
        raise DataError(f"{source.text}: none of the images can be used. Rejected: {rejected}.")
    targets = kind.encode([row.target for row in usable], spec)
    problems = kind.check(targets, spec, [row.split for row in usable])
    if problems:
        limit = "" if max_images is None else f", or raise max_images, which is {max_images}"
        raise DataError(f"{source.text}: {'; '.join(problems)}{limit}.{f' Rejected: {rejected}.' if rejected else ''}")


def describe_rejected(source: NamedSource, rows: Sequence[Row]) -> str:
    """Return the number of rejected images per reason, and the first image of the most frequent one with its likely cause."""
    rejected = [row for row in rows if row.rejection]
    if not rejected:
        return ""
    counts = Counter(str(row.rejection) for row in rejected)
    most = max(sorted(counts), key=lambda rejection: counts[rejection])
    first = min((row for row in rejected if row.rejection == most), key=lambda row: row.place)
    cause = source.source.likely_cause(first)
    path = first.path if len(first.path) <= LONGEST_PATH else f"{first.path[:LONGEST_PATH]}..."
    named = f"{path}: {first.reason}" if path else f"{first.reason}"
    return f"{', '.join(f'{counts[name]:,} {name}' for name in sorted(counts))}; first: {named}{f' ({cause})' if cause else ''}"
