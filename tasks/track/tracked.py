"""Attempts to log a ranking. Without the record of what is logged, everything is logged again.

The record is updated when a whole ranking has been logged. Until then it names the current attempt, and so does every run and
logged model of the attempt. The next attempt deletes those of an interrupted one, so nothing is logged twice.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from uuid import uuid4

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode

from itm.core.errors import StoreError
from itm.core.params import TrackParams
from itm.store.layout import Store
from itm.store.tracked_file import LAYOUT, Tracked, TrackedRow, TrackedState, read_tracked

log = logging.getLogger(__name__)

ATTEMPT = "attempt"  # tag with the attempt of a run or logged model
RANKING = "ranking"  # tag with the name of the ranking of a run or logged model
PARAMS = "params.yaml"  # name of the ranking without a folder of its own
STATUS = "status"  # tag of a child run: ranked, failed or superseded
SUPERSEDED = "superseded"  # by a later child run of the same model


@contextmanager
def tracking_lock(store: Store) -> Iterator[None]:
    """Hold the lock that lets one process at a time log the rankings of a store."""
    store.tracked.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(store.tracked.with_suffix(".lock")):
        yield


def start_attempt(client: MlflowClient, experiments: Mapping[str, str], params: TrackParams, store: Store) -> TrackedState:
    """Delete what an interrupted attempt has logged, and return the state with a new attempt.

    What was deleted in MLflow, or is not in the experiment of its data set any more, is forgotten, so that it is logged again.
    Write the state before creating the first run.
    """
    before = _read(str(params.uri), store)
    if before.attempt:
        _delete_attempt(client, before.attempt)
    existing = {}
    for data, tracked in before.data_sets.items():
        experiment = experiments.get(data)
        if experiment is None:
            existing[data] = tracked
        elif exists(client, tracked.parent, experiment):
            existing[data] = replace(tracked, rows=_remaining(client, experiment, tracked, bool(before.attempt)))
    return TrackedState(before.uri, existing, uuid4().hex)


def supersede(client: MlflowClient, before: Mapping[str, TrackedRow], now: Mapping[str, TrackedRow], experiment: str) -> None:
    """Mark the child runs of `before` that are not current any more, and delete their logged models.

    So the saved view of a ranking shows each candidate once, and so does the page "Models". The runs stay as history.
    """
    current = {row.run for row in now.values()}
    old = [row for row in before.values() if row.run not in current]
    models = set(_logged_models(client, [experiment])) if old else set()
    for row in old:
        if exists(client, row.run, experiment):
            client.set_tag(row.run, STATUS, SUPERSEDED)
        if row.logged_model in models:
            client.delete_logged_model(row.logged_model)


def _read(uri: str, store: Store) -> TrackedState:
    try:
        state = read_tracked(store)
    except StoreError as error:
        log.warning("the record of MLflow runs cannot be read, so everything is logged again: %s", error)
        return TrackedState(uri)
    if state is None or state.uri != uri:
        return TrackedState(uri)
    if state.layout != LAYOUT:  # the keys are those of no ranking, so everything is logged again, and the old runs are marked
        old = {data: _without_keys(tracked) for data, tracked in state.data_sets.items()}
        return TrackedState(uri, old, state.attempt)
    return state


def _without_keys(tracked: Tracked) -> Tracked:
    return replace(tracked, key="", rows={model: replace(row, key="") for model, row in tracked.rows.items()})


def _delete_attempt(client: MlflowClient, attempt: str) -> None:
    """Mark the runs and logged models of an attempt as deleted. MLflow can restore them until garbage collection."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    for run in client.search_runs(experiments, filter_string=f"tags.{ATTEMPT} = '{attempt}'", max_results=50_000):
        client.delete_run(run.info.run_id)
    for model in _logged_models(client, experiments, f"tags.{ATTEMPT} = '{attempt}'"):
        client.delete_logged_model(model)


def _remaining(client: MlflowClient, experiment: str, tracked: Tracked, interrupted: bool) -> dict[str, TrackedRow]:
    """Return the rows whose runs still exist. Those that must be logged again have no key.

    These are rows whose logged model was deleted, and, after an interruption, those that are already marked as superseded.
    """
    deleted = _runs(client, experiment, "", ViewType.DELETED_ONLY)
    marked = _runs(client, experiment, f"tags.{STATUS} = '{SUPERSEDED}'", ViewType.ACTIVE_ONLY) if interrupted else set()
    models = {"", *_logged_models(client, [experiment])}
    rows = {model: row for model, row in tracked.rows.items() if row.run not in deleted}
    return {
        model: row if row.logged_model in models and row.run not in marked else replace(row, key="")
        for model, row in rows.items()
    }


def _runs(client: MlflowClient, experiment: str, query: str, kind: int) -> set[str]:
    found = client.search_runs([experiment], filter_string=query, run_view_type=kind, max_results=50_000)
    return {str(run.info.run_id) for run in found}


def _logged_models(client: MlflowClient, experiments: list[str], query: str | None = None) -> Iterator[str]:
    """Yield the ids of the logged models that are not deleted."""
    token = None
    while True:
        page = client.search_logged_models(experiments, filter_string=query, page_token=token)
        yield from (str(model.model_id) for model in page)
        token = page.token
        if not token:
            return


def exists(client: MlflowClient, run: str, experiment: str) -> bool:
    """Return whether a run is in an experiment and not deleted."""
    try:
        info = client.get_run(run).info
    except MlflowException as error:
        if error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
            return False
        raise
    return str(info.lifecycle_stage) == "active" and str(info.experiment_id) == experiment
