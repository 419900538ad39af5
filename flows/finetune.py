"""The flow of fine-tuning: ingest, fine-tune every pair or the first models of a ranking, write the table, track."""

from prefect import flow

from flows.executor import PrefectExecutor
from flows.server import needs_server
from flows.states import attempt, tracking_problem
from itm.core.confirmations import Confirmed
from itm.core.params import Params
from itm.core.types import Outcome
from itm.finetuning.estimate import log_estimate
from itm.finetuning.pairs import conclude, request
from itm.run.engine import execute
from itm.run.executors import executor
from itm.run.plan import plan
from itm.store.layout import Store
from tasks.steps import ingest
from tasks.track.finetuned import track_finetuned

Result = tuple[tuple[Outcome, ...], tuple[Confirmed, ...], str]


def _without_prefect(params: Params, store: Store, first: int | None = None) -> Result:
    chosen = request(params, store, first)
    planned = chosen.narrow(plan(chosen.params, store))
    outcomes = execute(planned, executor(params.runner), store, chosen.params)
    everything, confirmed = conclude(chosen, planned, outcomes, store)
    problem = ""
    if params.track.uri:
        stored = f"the runs themselves are in {store.finetuned}"
        problem = attempt(track_finetuned, everything, confirmed, planned.data_sets, params.tracking, store, stored=stored)
    return everything, confirmed, problem


@needs_server(_without_prefect)
@flow(name="finetune", validate_parameters=False)
def run(params: Params, store: Store, first: int | None = None) -> Result:
    """Fine-tune the zoo on every data set, or the `first` models of the ranking in `store`.

    Returns every pair, what was confirmed of the ranking, and why it was not tracked, if so.
    """
    chosen = request(params, store, first)
    whole = ingest(chosen.params, store)
    log_estimate(chosen.narrow(whole), chosen.params, store)
    planned = chosen.narrow(whole)
    outcomes = execute(planned, PrefectExecutor(params.runner), store, chosen.params)
    everything, confirmed = conclude(chosen, planned, outcomes, store)
    problem = ""
    if params.track.uri:
        state = track_finetuned(everything, confirmed, planned.data_sets, params.tracking, store, return_state=True)
        problem = tracking_problem(state, f"the runs themselves are in {store.finetuned}")
    return everything, confirmed, problem
