"""Fine-tuning of many pairs, one after another, with no orchestrator; a flow that fans them out calls the same steps."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from itm.core.errors import ItmError
from itm.core.params import Params
from itm.core.rankings import Ranking
from itm.core.secrets import told
from itm.core.types import DataRef, Failure, ModelRef
from itm.features.devices import share_cores
from itm.finetune.confirm import confirm, pairs_of_first, params_of_first, write_confirmed
from itm.finetune.line import line
from itm.finetune.records import Confirmed, Finetuned
from itm.finetune.runs import finetune
from itm.finetune.table import failed, log_below_head, write_runs
from itm.run.plan import Plan, plan
from itm.store.hash_cache import remembered
from itm.store.layout import Store
from itm.store.ranking_file import read_ranking

log = logging.getLogger(__name__)

Pairs = Sequence[tuple[ModelRef, DataRef]]


@dataclass(frozen=True)
class Asked:
    """What is to be fine-tuned: the zoo on all data sets, or the `first` models of a ranking."""

    params: Params
    ranking: Ranking | None = None
    first: int = 0

    def pairs(self, planned: Plan) -> Pairs:
        """Return the pairs to fine-tune."""
        return pairs_of_first(planned, self.ranking, self.first) if self.ranking else planned.pairs


def asked(params: Params, store: Store, first: int | None = None) -> Asked:
    """Return what `first` asks for: that many models of the ranking in `store`, or, without it, all that `params` names.

    Raises
    ------
    ParamsError
        If `first` is less than 1, or no model is ranked.
    StoreError
        If there is no ranking in `store`.
    """
    if first is None:
        return Asked(params)
    ranking = read_ranking(store)
    return Asked(params_of_first(params, ranking, first), ranking, first)


def finetune_pair(model: ModelRef, data: DataRef, params: Params, store: Store) -> Finetuned:
    """Fine-tune one pair; whatever goes wrong is in what is returned."""
    try:
        return Finetuned(data.name, model.name, finetune(model, data, params.finetune, params.extract, store))
    except Exception as error:  # whatever it is, it does not stop the other pairs
        if not isinstance(error, ItmError):
            log.error("%s on %s", model.name, data.name, exc_info=True)
        return failed(data.name, Failure(data.name, model.name, "finetune", told(error)))


def conclude(
    chosen: Asked, planned: Plan, finetuned: Iterable[Finetuned], store: Store
) -> tuple[tuple[Finetuned, ...], tuple[Confirmed, ...]]:
    """Write the table of runs and, for a ranking, confirmed.json; say how often full fine-tuning lost to the head.

    Returns every pair, with the models and data sets that failed before any was begun, and what was confirmed.
    """
    early = [] if chosen.ranking else _early_failures(planned)
    everything = (*early, *finetuned)
    log_below_head(write_runs(everything, store))
    confirmed = confirm(chosen.ranking, everything) if chosen.ranking else ()
    if chosen.ranking:
        write_confirmed(confirmed, store)
    return everything, confirmed


def _early_failures(planned: Plan) -> list[Finetuned]:
    models = [failed(data.name, failure) for data in planned.data_sets for failure in planned.failed_models]
    return models + [failed(failure.data, failure) for failure in planned.failed_data]


def run(params: Params, store: Store, first: int | None = None) -> tuple[tuple[Finetuned, ...], tuple[Confirmed, ...]]:
    """Fine-tune the zoo on every data set, or the `first` models of the ranking in `store`.

    Raises
    ------
    ParamsError
        If the parameters are wrong as a whole.
    StoreError
        If there is no ranking to confirm.
    """
    share_cores(1)
    chosen = asked(params, store, first)
    with remembered(store):
        planned = plan(chosen.params, store)
    finetuned = []
    for model, data in chosen.pairs(planned):
        finetuned.append(finetune_pair(model, data, chosen.params, store))
        log.info("%s", line(finetuned[-1]))
    return conclude(chosen, planned, finetuned, store)
