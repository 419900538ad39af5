"""The main flow: ingest, extract every (model, data) pair, score pair by pair or some together, then rank, report and track."""

import logging
from collections.abc import Iterator, Sequence
from itertools import groupby, islice
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
from tasks.score import score_models
from tasks.track import track

log = logging.getLogger("itm.flow")

Extracted = tuple[ModelRef, DataRef, PrefectFuture[Any]]


@flow(name="rank", validate_parameters=False)
def rank_flow(params: Params, store: Store) -> tuple[Ranking, str]:
    """Rank every model on every data set; a task that fails becomes a row, and nothing is waited for in vain.

    Returns the ranking, and what kept it from being tracked.
    """
    planned = ingest(params, store)
    # All extractions stand in the queue before the first scoring, which would hold a worker while it waits for its features.
    extracted = [(*pair, extract_pair.submit(*pair, params, store)) for pair in planned.pairs]
    scored = [_submit(group, params, store) for group in _groups(extracted, params.runner.together)]
    outcomes = [outcome for group, future in scored for outcome in _outcomes(group, future)]
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


def _groups(extracted: Sequence[Extracted], size: int) -> Iterator[Sequence[Extracted]]:
    """Yield extractions of one data set, so many together."""
    for _, own in groupby(extracted, key=lambda one: one[1]):
        while some := list(islice(own, size)):
            yield some


def _submit(group: Sequence[Extracted], params: Params, store: Store) -> tuple[Sequence[Extracted], PrefectFuture[Any]]:
    """Wait for the extractions of a group, and have those that came to something scored."""
    for *_, future in group:
        future.wait()
    done = [future for *_, future in group if future.state.is_completed()]
    return group, score_models.submit([future.result() for future in done], params, store, wait_for=done, return_state=False)


def _outcomes(group: Sequence[Extracted], future: PrefectFuture[Any]) -> Iterator[Outcome]:
    """Wait for the scores of a group, and turn whatever each of its pairs came to into an outcome."""
    future.wait()
    scored = iter(future.result() if future.state.is_completed() else [])
    for model, data, features in group:
        if not features.state.is_completed():
            yield failed_outcome(data.name, model.name, "extract", _reason(features.state))
        elif not future.state.is_completed():
            yield failed_outcome(data.name, model.name, "score", _reason(future.state))
        else:
            yield Outcome(data.name, model.name, features.result(), *next(scored))


def _reason(state: State[Any]) -> str:
    """Return what a task that did not complete has to say."""
    error = state.result(raise_on_failure=False)
    return told(error) if isinstance(error, Exception) else f"ended as {state.name}: {state.message or 'no message'}"
