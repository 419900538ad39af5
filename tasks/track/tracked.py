"""What of a ranking MLflow has been told already, remembered beside the ranking; without the record all is told again."""

import logging
from dataclasses import asdict, dataclass

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from pydantic import TypeAdapter, ValidationError

from itm.errors import StoreError
from itm.params import TrackParams
from itm.store import Store, read_json, write_json

log = logging.getLogger(__name__)


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


def read_tracked(client: MlflowClient, params: TrackParams, store: Store) -> dict[str, Tracked]:
    """Return what was told of each data set to the database of `params`, if it is still there."""
    if not store.tracked.exists():
        return {}
    try:
        kept = TypeAdapter(dict[str, dict[str, Tracked]]).validate_python(read_json(store.tracked))
    except (StoreError, ValidationError) as error:
        log.warning("what MLflow was told before is not known, so it is told all again: %s", error)
        return {}
    return {data: told for data, told in kept.get(str(params.uri), {}).items() if _is_there(client, told.whole)}


def write_tracked(told: dict[str, Tracked], params: TrackParams, store: Store) -> None:
    """Remember what was told; of one database alone, since one that is changed for another gets all again."""
    write_json(store.tracked, {str(params.uri): {data: asdict(one) for data, one in told.items()}})


def _is_there(client: MlflowClient, run: str) -> bool:
    try:
        return str(client.get_run(run).info.lifecycle_stage) == "active"
    except MlflowException:
        return False
