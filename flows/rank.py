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
def rank_flow(params: Params, store: Store) -> tuple[Ranking, str]:
    """Rank every model on every data set; a task that fails becomes a row, and nothing is waited for in vain.

    Returns the ranking, and what kept it from being tracked.
    """
    planned = ingest(params, store)
    # All extractions stand in the queue before the first scoring, which would hold a worker while it waits for its features.
    extracted: list[Any] = [extract_pair.submit(model, data, params, store) for model, data in planned.pairs]
    scored = [score_pair.submit(features, params, store) for features in extracted]
    outcomes = [_outcome(*pair, *futures) for pair, *futures in zip(planned.pairs, extracted, scored, strict=True)]
    log.info("%s", counts(outcomes))
    result = rank(planned, outcomes, params, store)
    problem = ""
    if params.track.uri:
        state = track(result, params.tracking, store, return_state=True)
        if not state.is_completed():
            problem = f"{_reason(state)} (the ranking itself is in {store.ranking})"
            log.error("not tracked: %s", problem)
    return result, problem


def run(params: Params, store: Store) -> tuple[Ranking, str]:
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
