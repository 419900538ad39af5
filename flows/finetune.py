"""The flow of fine-tuning: ingest, fine-tune every pair or the first of a ranking, write the table, track."""

import logging
from typing import Any

from prefect import flow
from prefect.futures import PrefectFuture, as_completed

from flows.runner import Runner, on_device, reason, task_runner, untracked
from itm.core.params import Params
from itm.core.types import DataRef, Failure, ModelRef
from itm.features.devices import share_cores
from itm.finetune.line import line
from itm.finetune.pairs import asked, conclude
from itm.finetune.records import Confirmed, Finetuned
from itm.finetune.table import failed
from itm.store.hash_cache import remembered
from itm.store.layout import Store
from tasks.finetune import finetune_pair
from tasks.ingest import ingest
from tasks.track.finetuned import track_finetuned

log = logging.getLogger("itm.flow")

Result = tuple[tuple[Finetuned, ...], tuple[Confirmed, ...], str]


@flow(name="finetune", validate_parameters=False)
def finetune_flow(params: Params, store: Store, first: int | None = None) -> Result:
    """Fine-tune the zoo on every data set, or the `first` models of the ranking in `store`; a task that fails becomes a row.

    Returns every pair, what was confirmed of the ranking, and what kept it from being tracked.
    """
    chosen = asked(params, store, first)
    with remembered(store):
        planned = ingest(chosen.params, store)
    finetuned = {}
    with task_runner(params.runner) as runner:
        with on_device(runner, params.runner):
            pairs = {_begin(model, data, chosen.params, store, runner): (model, data) for model, data in chosen.pairs(planned)}
        for future in as_completed(list(pairs)):
            finetuned[future] = _finetuned(*pairs[future], future)
            log.info("%s", line(finetuned[future]))
    everything, confirmed = conclude(chosen, planned, [finetuned[future] for future in pairs], store)
    problem = ""
    if params.track.uri:
        state = track_finetuned(everything, confirmed, planned.data_sets, params.tracking, store, return_state=True)
        problem = untracked(state, f"the runs themselves are in {store.finetuned}")
    return everything, confirmed, problem


def run(params: Params, store: Store, first: int | None = None) -> Result:
    """Run the flow with the runner that the parameters name; this is the door of `itm finetune` and of `itm rank --confirm`."""
    share_cores(params.runner.workers)
    return finetune_flow(params, store, first)


def _begin(model: ModelRef, data: DataRef, params: Params, store: Store, runner: Runner) -> PrefectFuture[Any]:
    return runner.submit(finetune_pair, parameters={"model": model, "data": data, "params": params, "store": store})


def _finetuned(model: ModelRef, data: DataRef, future: PrefectFuture[Any]) -> Finetuned:
    """Turn whatever a pair came to into what is kept of it."""
    future.wait()
    if future.state.is_completed():
        return Finetuned(data.name, model.name, future.result())
    return failed(data.name, Failure(data.name, model.name, "finetune", reason(future.state)))
