"""The flow of evaluation: judge every score by what was measured, then track what comes out."""

from prefect import flow

from flows.runner import untracked
from itm.benchmark.standings import PoolStandings
from itm.core.params import Params
from itm.store.layout import Store
from tasks.evaluate import evaluate
from tasks.track.evaluation import track_evaluation


@flow(name="evaluate", validate_parameters=False)
def evaluate_flow(params: Params, store: Store) -> tuple[tuple[PoolStandings, ...], str]:
    """Return how every contender stands in every pool, and what kept it from being tracked."""
    pools = evaluate(params, store)
    problem = ""
    if params.track.uri:
        state = track_evaluation(pools, params.tracking, store, return_state=True)
        problem = untracked(state, f"the evaluation itself is in {store.evaluation}")
    return pools, problem


def run(params: Params, store: Store) -> tuple[tuple[PoolStandings, ...], str]:
    """Run the flow; this is the door of `itm evaluate`."""
    return evaluate_flow(params, store)
