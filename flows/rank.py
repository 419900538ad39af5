"""The flow of a ranking: ingest, compute what is missing, then rank, report and track."""

import logging
import time

from prefect import flow

from flows.executor import PrefectExecutor
from flows.server import needs_server
from flows.states import attempt, opaque, tracking_problem
from itm.core.params import Params
from itm.core.rankings import Ranking
from itm.run import pipeline
from itm.run.plan import Plan
from itm.run.race import compute
from itm.run.speeds import with_speeds
from itm.run.work import counts
from itm.store.layout import Store
from tasks.steps import ingest, rank
from tasks.track.ranking import track

log = logging.getLogger("itm.flow")


def _without_prefect(params: Params, store: Store) -> tuple[Ranking, str]:
    result = pipeline.run(params, store)
    stored = f"the ranking itself is in {store.ranking}"
    return result, attempt(track, result, params.tracking, store, stored=stored) if params.track.uri else ""


@needs_server(_without_prefect)
@flow(name="rank", validate_parameters=False)
def run(params: Params, store: Store) -> tuple[Ranking, str]:
    """Rank every model on every data set. Return the ranking, and why it was not tracked, if so."""
    _, result = ranked(params, store)
    problem = ""
    if params.track.uri:
        state = track(opaque(result), params.tracking, store, return_state=True)
        problem = tracking_problem(state, f"the ranking itself is in {store.ranking}")
    return result, problem


def ranked(params: Params, store: Store) -> tuple[Plan, Ranking]:
    """Rank every model on every data set in tasks of the flow that is running. Return the plan and the ranking."""
    began, planned = time.monotonic(), ingest(params, store)
    planned, outcomes = compute(planned, PrefectExecutor(params.runner), store, params)
    log.info("%s", counts(planned, outcomes))
    outcomes = with_speeds(planned, outcomes, params, store, began)
    return planned, rank(opaque(planned), opaque(outcomes), params, store)
