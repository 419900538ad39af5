"""The history of refreshes: one numbered folder per refresh. Its record is written last."""

import logging
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from itm.core.errors import cause
from itm.core.rankings import DataRanking, RankedModel
from itm.refresh.records import Place, Refresh, Standing
from itm.store.layout import Store
from itm.store.records import RecordStore

log = logging.getLogger(__name__)

RECORD = "refresh.json"
RECORDS = RecordStore()  # not exchanged: every machine numbers its own refreshes


def standing(data: DataRanking, recommended: str | None) -> Standing:
    """Return the summary of a ranking for the history."""
    return Standing(data.data, data.hash, data.images, tuple(map(_place, data.rows)), data.rank_by, recommended, data.reason)


def write_refresh(refresh: Refresh, store: Store) -> Path:
    """Write the record of a refresh and return its folder."""
    folder = store.refresh(refresh.number)
    RECORDS.put(folder / RECORD, _key(refresh.number), asdict(refresh))
    return folder


def read_history(store: Store, last: int | None = None) -> list[Refresh]:
    """Return the refreshes so far, or the `last` of them, oldest first. Damaged records are logged and skipped."""
    found = (_read(number, store) for number in sorted(_numbers(store), reverse=True))
    return list(islice(filter(None, found), last))[::-1]


def next_number(store: Store) -> int:
    """Return the number of the next refresh, above those of all refreshes that started."""
    return 1 + max(_numbers(store), default=0)


def _numbers(store: Store) -> Iterator[int]:
    folder = store.refresh(0).parent
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name.isdigit():
            yield int(path.name)


def _read(number: int, store: Store) -> Refresh | None:
    """Return one refresh, or None if it was interrupted, still runs, or its record is damaged."""
    path = store.refresh(number) / RECORD
    payload = RECORDS.get(path, _key(number))
    if payload is None:
        return None
    try:
        return TypeAdapter(Refresh).validate_python(payload)
    except ValidationError as error:
        log.warning("%s: is from another version (%s). It counts as missing.", path, cause(error))
        return None


def _key(number: int) -> str:
    return f"refresh {number}"


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
