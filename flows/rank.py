"""The main flow: ingest, look up what is stored, have workers compute the rest, then rank, report and track."""

import logging

from prefect import flow

from flows.fan_out import compute
from flows.runner import untracked, whole
from itm.core.params import Params
from itm.core.rankings import Ranking
from itm.features.devices import share_cores
from itm.run.lookup import look_up
from itm.run.work import counts
from itm.store.hash_cache import remembered
from itm.store.layout import Store
from tasks.ingest import ingest
from tasks.rank import rank
from tasks.track.ranking import track

log = logging.getLogger("itm.flow")


@flow(name="rank", validate_parameters=False)
def rank_flow(params: Params, store: Store) -> tuple[Ranking, str]:
    """Rank every model on every data set; a task that fails becomes a row, and nothing is waited for in vain.

    Returns the ranking, and what kept it from being tracked.
    """
    with remembered(store):
        planned = ingest(params, store)
        found = look_up(planned, params, store)
    outcomes = compute(planned, found, params, store)
    log.info("%s", counts(outcomes))
    result = rank(whole(planned), whole(outcomes), params, store)
    problem = ""
    if params.track.uri:
        state = track(whole(result), params.tracking, store, return_state=True)
        problem = untracked(state, f"the ranking itself is in {store.ranking}")
    return result, problem


def run(params: Params, store: Store) -> tuple[Ranking, str]:
    """Run the flow with the runner that the parameters name; this is the door of `itm rank`."""
    share_cores(params.runner.workers)
    return rank_flow(params, store)
