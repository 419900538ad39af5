"""Which model users are told to take, which changes only when a winner is better beyond noise, or when it is told to."""

import logging

from itm.core.errors import StoreError
from itm.core.rankings import DataRanking, Ranking
from itm.store.files import read_json, write_json
from itm.store.layout import Store

log = logging.getLogger(__name__)


def recommend(data: DataRanking, held: str | None, within_noise: bool) -> str | None:
    """Return the model to recommend for a data set where `held` was recommended before.

    The winner takes the place of one that the paired 95 % interval cannot tell from it only if `within_noise` says so; where
    nothing could be ranked, nothing better than `held` is known.
    """
    winner = next((row for row in data.rows if row.rank == 1), None)
    if winner is None:
        return held
    still = next((row for row in data.rows if row.model == held and row.rank is not None), None)
    if still is not None and still.tied_with_first and not within_noise:
        return held
    return winner.model


def read_recommended(store: Store) -> dict[str, str]:
    """Return the recommended model of each data set; a record that cannot be read is told of and counts as none."""
    if not store.recommended.exists():
        return {}
    try:
        return {str(data): str(model) for data, model in dict(read_json(store.recommended)).items()}
    except (StoreError, TypeError, ValueError) as error:
        log.warning("what was recommended before is not known: %s", error)
        return {}


def update_recommended(ranking: Ranking, store: Store, within_noise: bool) -> dict[str, str]:
    """Write and return the recommended model of each data set, those that this ranking does not hold as they were."""
    held = read_recommended(store)
    found = {data.data: recommend(data, held.get(data.data), within_noise) for data in ranking.data_sets}
    now = held | {data: model for data, model in found.items() if model}
    if now != held:
        write_json(store.recommended, now)
    return now
