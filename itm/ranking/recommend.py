"""The recommended model of each data set. It changes only if a winner is clearly better, or if the parameters say so."""

import logging

from itm.core.errors import StoreError
from itm.core.rankings import DataRanking, Ranking
from itm.store.files import exists, read_json, write_json
from itm.store.layout import Store

log = logging.getLogger(__name__)


def recommend(data: DataRanking, held: str | None, within_noise: bool) -> str | None:
    """Return the model to recommend for a data set; `held` was recommended before.

    If the winner is tied with `held`, it is recommended only with `within_noise`. If nothing could be ranked, `held` stays.
    """
    winner = next((row for row in data.rows if row.rank == 1), None)
    if winner is None:
        return held
    still = next((row for row in data.rows if row.model == held and row.rank is not None), None)
    if still is not None and still.tied_with_first and not within_noise:
        return held
    return winner.model


def read_recommended(store: Store) -> dict[str, str]:
    """Return the recommended model of each data set; a record that cannot be read is logged and ignored."""
    if not exists(store.recommended):
        return {}
    try:
        return {str(data): str(model) for data, model in dict(read_json(store.recommended)).items()}
    except (StoreError, TypeError, ValueError) as error:
        log.warning("the recommended models cannot be read: %s", error)
        return {}


def update_recommended(ranking: Ranking, store: Store, within_noise: bool) -> dict[str, str]:
    """Write and return the recommended model of each data set; those of data sets outside of this ranking stay."""
    held = read_recommended(store)
    found = {data.data: recommend(data, held.get(data.data), within_noise) for data in ranking.data_sets}
    now = held | {data: model for data, model in found.items() if model}
    if now != held:
        write_json(store.recommended, now)
    return now
