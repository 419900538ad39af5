"""The flow of an evaluation: evaluate every score on measured accuracies, then track the results."""

from prefect import flow

from flows.server import needs_server
from flows.states import attempt, tracking_problem
from itm.benchmark import desk
from itm.benchmark.results import PoolResults
from itm.core.params import Params
from itm.store.layout import Store
from tasks.evaluate import evaluate
from tasks.track.evaluation import track_evaluation


def _without_prefect(params: Params, store: Store) -> tuple[tuple[PoolResults, ...], str]:
    pools = desk.run(params, store)
    stored = f"the evaluation itself is in {store.evaluation}"
    return pools, attempt(track_evaluation, pools, params.tracking, store, stored=stored) if params.track.uri else ""


@needs_server(_without_prefect)
@flow(name="evaluate", validate_parameters=False)
def run(params: Params, store: Store) -> tuple[tuple[PoolResults, ...], str]:
    """Return the results of all pools, and the reason if they are not tracked."""
    pools = evaluate(params, store)
    problem = ""
    if params.track.uri:
        state = track_evaluation(pools, params.tracking, store, return_state=True)
        problem = tracking_problem(state, f"the evaluation itself is in {store.evaluation}")
    return pools, problem
