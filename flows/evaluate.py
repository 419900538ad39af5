"""The flow of an evaluation: evaluate every score on measured accuracies, then track the results."""

from prefect import flow

from flows.states import tracking_problem
from itm.benchmark.results import PoolResults
from itm.core.params import Params
from itm.store.layout import Store
from tasks.evaluate import evaluate
from tasks.track.evaluation import track_evaluation


@flow(name="evaluate", validate_parameters=False)
def run(params: Params, store: Store) -> tuple[tuple[PoolResults, ...], str]:
    """Return the results of all pools, and the reason if they are not tracked."""
    pools = evaluate(params, store)
    problem = ""
    if params.track.uri:
        state = track_evaluation(pools, params.tracking, store, return_state=True)
        problem = tracking_problem(state, f"the evaluation itself is in {store.evaluation}")
    return pools, problem
