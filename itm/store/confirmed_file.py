"""Read and write confirmed.json."""

import logging
from collections.abc import Sequence
from dataclasses import asdict

from pydantic import TypeAdapter, ValidationError

from itm.core.confirmations import Confirmed
from itm.core.errors import StoreError
from itm.core.rankings import Ranking
from itm.store.files import read_json, write_json
from itm.store.layout import Store

log = logging.getLogger(__name__)

VERSION = 2  # increase it when the records of a confirmation change


def write_confirmed(confirmed: Sequence[Confirmed], store: Store) -> None:
    write_json(store.confirmed, {"version": VERSION, "data_sets": [asdict(one) | {"pick": one.pick} for one in confirmed]})


def read_confirmed(ranking: Ranking, store: Store) -> tuple[Confirmed, ...]:
    """Return what fine-tuning showed of this ranking.

    Results of an earlier ranking, with other data, weights or ranks, are left out with a warning.
    """
    if not store.confirmed.exists():
        return ()
    try:
        values = read_json(store.confirmed)
        if not isinstance(values, dict) or values.get("version") != VERSION:
            raise StoreError(f"{store.confirmed}: is from another version.")
        found = TypeAdapter(tuple[Confirmed, ...]).validate_python(values["data_sets"])
    except (StoreError, ValidationError, KeyError) as error:
        log.warning("the results of --confirm cannot be read and are not shown; run --confirm again: %s", error)
        return ()
    kept = tuple(one for one in found if _belongs_to(one, ranking))
    for one in found:
        if one not in kept:
            log.warning(
                "%s: the results of --confirm are of an earlier ranking and not shown; run it again (finished runs are kept)",
                one.data,
            )
    return kept


def _belongs_to(confirmed: Confirmed, ranking: Ranking) -> bool:
    for data in ranking.data_sets:
        if (data.data, data.hash, data.rank_by) == (confirmed.data, confirmed.data_hash, confirmed.rank_by):
            places = {row.model: (row.rank, row.weights) for row in data.rows}
            return all(places.get(row.model) == (row.rank, row.weights) for row in confirmed.candidates)
    return False
