"""What of a ranking MLflow has been told already, remembered beside the ranking; without the record all is told again.

The record counts from the moment a whole ranking is told. Until then it names the attempt, as every run of that attempt does,
so that the runs of one that was killed half way are taken back before all is told anew, and none stands there twice.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import uuid4

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from pydantic import TypeAdapter, ValidationError

from itm.core.errors import StoreError
from itm.core.sections import TrackParams
from itm.store.files import read_json, write_json
from itm.store.layout import Store

log = logging.getLogger(__name__)

ATTEMPT = "attempt"  # the tag of a run that names the attempt it was logged in


@dataclass(frozen=True)
class TrackedRow:
    """The child run of a model, and the key of the numbers in it."""

    key: str
    run: str


@dataclass(frozen=True)
class Tracked:
    """The last parent run of a data set, the one that holds the whole of the same ranking, and the child run of each model."""

    parent: str
    whole: str
    key: str
    rows: dict[str, TrackedRow]


@dataclass(frozen=True)
class Told:
    """What one database was told of each data set, and the attempt to tell it more that has not ended."""

    uri: str
    data_sets: dict[str, Tracked] = field(default_factory=dict)
    attempt: str = ""


@contextmanager
def telling(store: Store) -> Iterator[None]:
    """Let one process at a time tell MLflow of a store."""
    store.tracked.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(store.tracked.with_suffix(".lock")):
        yield


def begin(client: MlflowClient, params: TrackParams, store: Store) -> Told:
    """Take back what an attempt before has not finished, and return what the database holds, with a new attempt.

    The attempt is remembered by `remember` before the first run of it is made.
    """
    before = _read(str(params.uri), store)
    if before.attempt:
        _take_back(client, before.attempt)
    there = {data: told for data, told in before.data_sets.items() if _is_there(client, told.whole)}
    return Told(before.uri, there, uuid4().hex)


def remember(told: Told, store: Store) -> None:
    """Remember what was told; of one database alone, since one that is changed for another gets all again."""
    write_json(store.tracked, TypeAdapter(Told).dump_python(told))


def _read(uri: str, store: Store) -> Told:
    """Return what is remembered of a database."""
    if not store.tracked.exists():
        return Told(uri)
    try:
        told = TypeAdapter(Told).validate_python(read_json(store.tracked))
    except (StoreError, ValidationError) as error:
        log.warning("what MLflow was told before is not known, so it is told all again: %s", error)
        return Told(uri)
    return told if told.uri == uri else Told(uri)


def _take_back(client: MlflowClient, attempt: str) -> None:
    """Delete the runs of an attempt, as MLflow deletes: they can be restored until its garbage is collected."""
    experiments = [one.experiment_id for one in client.search_experiments()]
    for run in client.search_runs(experiments, filter_string=f"tags.{ATTEMPT} = '{attempt}'", max_results=50_000):
        client.delete_run(run.info.run_id)


def _is_there(client: MlflowClient, run: str) -> bool:
    try:
        return str(client.get_run(run).info.lifecycle_stage) == "active"
    except MlflowException:
        return False
