"""The main flow: ingest, extract every (model, data) pair, score pair by pair or some together, then rank, report and track."""

import logging
from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from typing import Any

from prefect import flow
from prefect.futures import PrefectFuture

from flows.runner import reason, task_runner, untracked
from itm.params import Params
from itm.pipeline import Compared, Plan, counts, share_cores
from itm.rank import failed_outcome
from itm.store import Store
from itm.types import DataRef, Failure, Features, ModelRef, Outcome, Ranking
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
    needed = {_names(*pair): pair for pair in (*planned.compared_with, *planned.pairs)}
    extracted = {names: extract_pair.submit(*pair, params, store) for names, pair in needed.items()}
    compared = {_names(*pair): _features_or_failure(*pair, extracted[_names(*pair)]) for pair in planned.compared_with}
    pairs = [(*pair, extracted[_names(*pair)]) for pair in planned.pairs]
    scored = [_submit(group, planned, compared, params, store) for group in _groups(pairs, params.runner.together)]
    outcomes = [outcome for group, future in scored for outcome in _outcomes(group, future)]
    log.info("%s", counts(outcomes))
    result = rank(planned, outcomes, params, store)
    problem = ""
    if params.track.uri:
        state = track(result, params.tracking, store, return_state=True)
        problem = untracked(state, f"the ranking itself is in {store.ranking}")
    return result, problem


def run(params: Params, store: Store) -> tuple[Ranking, str]:
    """Run the flow with the runner that the parameters name; this is the door of `itm rank`."""
    share_cores(params.runner.workers)
    return rank_flow.with_options(task_runner=task_runner(params.runner))(params, store)


def _groups(extracted: Sequence[Extracted], size: int) -> Iterator[Sequence[Extracted]]:
    """Yield extractions of one data set, so many together."""
    for _, own in groupby(extracted, key=lambda one: one[1]):
        while some := list(islice(own, size)):
            yield some


def _names(model: ModelRef, data: DataRef) -> tuple[str, str]:
    return model.name, data.name


def _submit(
    group: Sequence[Extracted], planned: Plan, compared: Compared, params: Params, store: Store
) -> tuple[Sequence[Extracted], PrefectFuture[Any]]:
    """Wait for the extractions of a group, and have those that came to something scored."""
    for *_, future in group:
        future.wait()
    done = [one for one in group if one[2].state.is_completed()]
    references = [planned.references(model, data, compared) for model, data, _ in done]
    futures = [future for *_, future in done]
    return group, score_models.submit(
        [future.result() for future in futures], references, params, store, wait_for=futures, return_state=False
    )


def _features_or_failure(model: ModelRef, data: DataRef, future: PrefectFuture[Any]) -> Features | Failure:
    """Wait for an extraction that others are compared with."""
    future.wait()
    if future.state.is_completed():
        found: Features = future.result()
        return found
    return Failure(data.name, model.name, "extract", reason(future.state))


def _outcomes(group: Sequence[Extracted], future: PrefectFuture[Any]) -> Iterator[Outcome]:
    """Wait for the scores of a group, and turn whatever each of its pairs came to into an outcome."""
    future.wait()
    scored = iter(future.result() if future.state.is_completed() else [])
    for model, data, features in group:
        if not features.state.is_completed():
            yield failed_outcome(data.name, model.name, "extract", reason(features.state))
        elif not future.state.is_completed():
            yield failed_outcome(data.name, model.name, "score", reason(future.state))
        else:
            yield Outcome(data.name, model.name, features.result(), *next(scored))
