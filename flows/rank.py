"""The main flow: ingest, then one extraction and one scoring task a (model, data) pair, then rank, report and track."""

import logging
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner

from itm.errors import told
from itm.params import Params, RunnerParams
from itm.pipeline import counts, share_cores
from itm.rank import failed_outcome
from itm.store import Store
from itm.types import DataRef, ModelRef, Outcome, Ranking
from tasks.extract import extract_pair
from tasks.ingest import ingest
from tasks.rank import rank
from tasks.score import score_pair
from tasks.track import track

log = logging.getLogger("itm.flow")


@flow(name="rank", validate_parameters=False)
def rank_flow(params: Params, store: Store) -> Ranking:
    """Rank every model on every data set; a task that fails becomes a row, and nothing is waited for in vain."""
    planned = ingest(params, store)
    submitted = []
    for model, data in planned.pairs:
        features: Any = extract_pair.submit(model, data, params, store)  # a task takes a future for its result
        submitted.append((model, data, features, score_pair.submit(features, params, store)))
    outcomes = [_outcome(*pair) for pair in submitted]
    log.info("%s", counts(outcomes))
    result = rank(planned, outcomes, params, store)
    if params.track.uri:
        state = track(result, params.track, store, return_state=True)
        if not state.is_completed():
            log.error("tracking failed, the ranking itself is in %s: %s", store.ranking, _reason(state))
    return result


def run(params: Params, store: Store) -> Ranking:
    """Run the flow with the runner that the parameters name; this is the door of `itm rank`."""
    share_cores(params.runner.workers)
    return rank_flow.with_options(task_runner=_task_runner(params.runner))(params, store)


def _task_runner(runner: RunnerParams) -> TaskRunner[PrefectFuture[Any]]:
    if runner.kind == "processes":
        return ProcessPoolTaskRunner(runner.workers, initializer=share_cores, initargs=(runner.workers,))  # type: ignore[return-value]
    return ThreadPoolTaskRunner(max_workers=runner.workers)  # type: ignore[return-value]


def _outcome(model: ModelRef, data: DataRef, features: PrefectFuture[Any], scored: PrefectFuture[Any]) -> Outcome:
    """Wait for both tasks of a pair and turn whatever they came to into an outcome."""
    features.wait()
    if not features.state.is_completed():
        return failed_outcome(data.name, model.name, "extract", _reason(features.state))
    scored.wait()
    if not scored.state.is_completed():
        return failed_outcome(data.name, model.name, "score", _reason(scored.state))
    scores, failures = scored.result()
    return Outcome(data.name, model.name, features.result(), scores, failures)


def _reason(state: State[Any]) -> str:
    """Return what a task that did not complete has to say."""
    error = state.result(raise_on_failure=False)
    return told(error) if isinstance(error, Exception) else f"ended as {state.name}: {state.message or 'no message'}"
