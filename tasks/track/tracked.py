"""Record of the content of MLflow, next to the ranking. Without it, everything is logged again.

The record is updated when a whole ranking has been logged. Until then it names the current attempt, and so does every run of
the attempt. The next attempt deletes the runs of an interrupted one, so no run is logged twice.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from uuid import uuid4

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode
from pydantic import TypeAdapter, ValidationError

from itm.core.errors import StoreError
from itm.core.params import TrackParams
from itm.store.files import read_json, write_json
from itm.store.layout import Store

log = logging.getLogger(__name__)

ATTEMPT = "attempt"  # tag with the attempt of a run


@dataclass(frozen=True)
class TrackedRow:
    """The child run of a model, and the content key of its values."""

    key: str
    run: str


@dataclass(frozen=True)
class Tracked:
    """The runs of a data set: its last parent run, and the child run of each model, with the content key of the ranking."""

    parent: str
    key: str
    rows: dict[str, TrackedRow]


@dataclass(frozen=True)
class TrackedState:
    """The runs of each data set in one database, and the current attempt, if it has not finished."""

    uri: str
    data_sets: dict[str, Tracked] = field(default_factory=dict)
    attempt: str = ""


@contextmanager
def tracking_lock(store: Store) -> Iterator[None]:
    """Hold the lock that lets one process at a time log the rankings of a store."""
    store.tracked.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(store.tracked.with_suffix(".lock")):
        yield


def start_attempt(client: MlflowClient, experiments: Mapping[str, str], params: TrackParams, store: Store) -> TrackedState:
    """Delete the runs of an interrupted attempt, and return the state with a new attempt.

    Runs that were deleted in MLflow, or are not in the experiment of their data set any more, are forgotten, so that they are
    logged again. Call `save_state` with the state before creating the first run.
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
            deleted = _deleted(client, experiment)
            rows = {model: row for model, row in tracked.rows.items() if row.run not in deleted}
            existing[data] = replace(tracked, rows=rows)
    return TrackedState(before.uri, existing, uuid4().hex)


def save_state(state: TrackedState, store: Store) -> None:
    """Write the record. It covers one database; for another URI, everything is logged again."""
    write_json(store.tracked, TypeAdapter(TrackedState).dump_python(state))


def _read(uri: str, store: Store) -> TrackedState:
    if not store.tracked.exists():
        return TrackedState(uri)
    try:
        state = TypeAdapter(TrackedState).validate_python(read_json(store.tracked))
    except (StoreError, ValidationError) as error:
        log.warning("the record of MLflow runs cannot be read, so everything is logged again: %s", error)
        return TrackedState(uri)
    return state if state.uri == uri else TrackedState(uri)


def _delete_attempt(client: MlflowClient, attempt: str) -> None:
    """Mark the runs of an attempt as deleted. MLflow can restore them until garbage collection."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    for run in client.search_runs(experiments, filter_string=f"tags.{ATTEMPT} = '{attempt}'", max_results=50_000):
        client.delete_run(run.info.run_id)


def _deleted(client: MlflowClient, experiment: str) -> set[str]:
    """Return the runs of an experiment that were deleted and can still be restored."""
    found = client.search_runs([experiment], run_view_type=ViewType.DELETED_ONLY, max_results=50_000)
    return {str(run.info.run_id) for run in found}


def exists(client: MlflowClient, run: str, experiment: str) -> bool:
    """Return whether a run is in an experiment and not deleted."""
    try:
        info = client.get_run(run).info
    except MlflowException as error:
        if error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
            return False
        raise
    return str(info.lifecycle_stage) == "active" and str(info.experiment_id) == experiment
