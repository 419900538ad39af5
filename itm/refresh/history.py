"""The history of refreshes: a numbered folder each, whose record is the last thing written into it."""

import logging
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from itm.core.errors import StoreError
from itm.core.keys import content_key
from itm.core.rankings import DataRanking, RankedModel
from itm.refresh.records import Place, Refresh, Standing
from itm.store.files import read_json, write_json
from itm.store.layout import Store

log = logging.getLogger(__name__)

VERSION = 1  # raise it when the records change
RECORD = "refresh.json"


def standing(data: DataRanking, recommended: str | None) -> Standing:
    """Return a data set's ranking in short."""
    return Standing(data.data, data.hash, data.images, tuple(map(_place, data.rows)), recommended, data.reason)


def write_refresh(refresh: Refresh, store: Store) -> Path:
    """Write the record of a refresh and return its folder."""
    folder = store.refresh(refresh.number)
    described = {"version": VERSION} | asdict(refresh)
    write_json(folder / RECORD, described | {"checksum": content_key(described)})
    return folder


def read_history(store: Store, last: int | None = None) -> list[Refresh]:
    """Return the refreshes so far in their order, or the `last` of them; one that cannot be read is told of and left out."""
    found: list[Refresh] = []
    for number in sorted(_numbers(store), reverse=True):
        path = store.refresh(number) / RECORD
        if last is not None and len(found) == last:
            break
        if not path.exists():  # it was killed, or goes on now
            continue
        try:
            found.append(_read(path))
        except StoreError as error:
            log.warning("left out of the history: %s", error)
    return found[::-1]


def next_number(store: Store) -> int:
    """Return the number of the next refresh, above all that began before."""
    return 1 + max(_numbers(store), default=0)


def _numbers(store: Store) -> Iterator[int]:
    folder = store.refresh(0).parent
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name.isdigit():
            yield int(path.name)


def _read(path: Path) -> Refresh:
    described = read_json(path)
    try:
        checksum, version = described.pop("checksum"), described["version"]
        if checksum != content_key(described) or version != VERSION:
            raise ValueError("its checksum does not match, or it is of another version")
        described.pop("version")
        return TypeAdapter(Refresh).validate_python(described)
    except (AttributeError, KeyError, TypeError, ValueError, ValidationError) as error:
        raise StoreError(f"{path}: is damaged or from another version ({error}).") from error


def _place(row: RankedModel) -> Place:
    estimate = row.estimate
    return Place(
        model=row.model,
        weights=row.weights,
        rank=row.rank,
        value=estimate.value if estimate else None,
        low=estimate.low if estimate else None,
        high=estimate.high if estimate else None,
        tied_with_first=row.tied_with_first,
        reason="; ".join(f"{failure.step}: {failure.reason}" for failure in row.failures) or None,
    )
