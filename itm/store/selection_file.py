"""Read and write selection.json."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from pydantic import TypeAdapter, ValidationError

from itm.core.errors import StoreError, cause
from itm.core.selections import Selection
from itm.store.files import read_json, write_json
from itm.store.layout import Store

log = logging.getLogger(__name__)

VERSION = 1  # increase it when the records of a selection change


def write_selections(selections: Sequence[Selection], store: Store) -> None:
    write_json(store.selection, {"version": VERSION, "data_sets": [asdict(one) for one in selections]})


def read_selections(store: Store) -> tuple[Selection, ...]:
    """Return the selections of a ranking, one per data set.

    Raises
    ------
    StoreError
        If there is none, or it is damaged or from another version.
    """
    if not store.selection.exists():
        raise StoreError(f"{store.selection}: there is no selection yet; run `itm select` first.")
    values = read_json(store.selection)
    if not isinstance(values, dict) or values.get("version") != VERSION:
        raise StoreError(f"{store.selection}: is damaged or from another version; run `itm select` again.")
    try:
        return TypeAdapter(tuple[Selection, ...]).validate_python(values["data_sets"])
    except (ValidationError, KeyError) as error:
        raise StoreError(f"{store.selection}: is damaged ({cause(error)}); run `itm select` again.") from error


def stored_selections(store: Store) -> tuple[Selection, ...]:
    """Return the selections of a ranking. One that cannot be read is logged and counts as missing."""
    if not store.selection.exists():
        return ()
    try:
        return read_selections(store)
    except StoreError as error:
        log.warning("%s", error)
        return ()


def selection_of(data: str, data_hash: str, selections: Iterable[Selection]) -> Selection | None:
    """Return the selection for these images of a data set."""
    return next((one for one in selections if (one.data, one.data_hash) == (data, data_hash)), None)
