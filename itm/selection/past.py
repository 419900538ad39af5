"""The fine-tuning that a store has done on other data sets, from its rankings."""

import logging
from collections.abc import Iterator
from dataclasses import replace

from itm.core.errors import StoreError
from itm.core.rankings import DataRanking
from itm.core.types import Protocol
from itm.finetuning.table import means
from itm.prediction.expected import known_of
from itm.prediction.history import PastResult
from itm.prediction.prior import PROBES, Known
from itm.store.files import exists, read_table
from itm.store.find_ranking import all_rankings
from itm.store.layout import Store
from itm.store.ranking_file import read_ranking
from itm.store.selection_file import selection_of, stored_selections

log = logging.getLogger(__name__)


def past_results(store: Store, protocol: Protocol, without: str) -> list[PastResult]:
    """Return the results of `itm select`, `itm finetune` and `--confirm`, one per model and data set.

    The data set with the hash `without` is left out: its own results are evidence of another kind.
    """
    found: dict[tuple[str, str | None], PastResult] = {}
    for own in all_rankings(replace(store, ranking_name=None)):
        try:
            data_sets = read_ranking(own).data_sets if own.ranking.exists() else ()
            results = [one for data in data_sets if data.hash != without for one in _of_ranking(data, own, protocol)]
        except StoreError as error:
            log.info("a ranking is no evidence: %s", error)
            continue
        for result in results:
            found.setdefault((result.data, result.known.weights), result)
    return list(found.values())


def _of_ranking(data: DataRanking, store: Store, protocol: Protocol) -> Iterator[PastResult]:
    known = {(row.model, row.weights): own for row in data.rows if _is_known(own := known_of(row))}
    selection = selection_of(data.data, data.hash, stored_selections(store))
    if selection and selection.protocol == protocol:
        for one in selection.models:
            if one.reached is not None and (one.model, one.weights) in known:
                yield PastResult(data.hash, known[one.model, one.weights], one.reached, selection.test_images)
    if exists(store.finetuned):
        runs = read_table(store.finetuned).filter(data=data.data, data_hash=data.hash, protocol=protocol)
        for (model, weights), own in known.items():
            for row in means(runs.filter(model=model, weights=weights)).iter_rows(named=True):
                yield PastResult(data.hash, own, row["test_accuracy"], row["test_images"])


def _is_known(own: Known) -> bool:
    return own.weights is not None and all(name in own.features for name in PROBES)
