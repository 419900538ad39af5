"""Record of the content of MLflow, next to the ranking, and the links to it."""

from dataclasses import dataclass, field
from urllib.parse import quote

from pydantic import TypeAdapter, ValidationError

from itm.core.errors import StoreError, cause
from itm.store.files import exists, read_json, write_json
from itm.store.layout import Store

LAYOUT = 2  # raise it when runs are logged in another way; then everything is logged again once
VIEW = "candidates"  # key of the saved view of params.yaml, and start of the keys of trials
LONGEST_KEY = 200  # characters; MLflow takes 250 for the name of a tag, which has a prefix
UI = "python -m tasks.track.ui"  # starts the local server; `make ui` is in clones only
LOCAL_SERVER = "http://127.0.0.1:5000"


@dataclass(frozen=True)
class TrackedRow:
    """The child run and the logged model of a candidate, and the content key of its values."""

    key: str
    run: str
    logged_model: str = ""


@dataclass(frozen=True)
class Tracked:
    """The runs of a data set: its last parent run, and the child run of each model, with the content key of the ranking."""

    parent: str
    key: str
    rows: dict[str, TrackedRow]
    experiment: str = ""


@dataclass(frozen=True)
class TrackedState:
    """The runs of each data set in one database, and the current attempt, if it has not finished."""

    uri: str
    data_sets: dict[str, Tracked] = field(default_factory=dict)
    attempt: str = ""
    layout: int = LAYOUT


def write_tracked(state: TrackedState, store: Store) -> None:
    """Write the record. It covers one database; for another URI, everything is logged again."""
    write_json(store.tracked, TypeAdapter(TrackedState).dump_python(state))


def read_tracked(store: Store) -> TrackedState | None:
    """Return the record, or None if there is none.

    Raises
    ------
    StoreError
        If it cannot be read.
    """
    if not exists(store.tracked):
        return None
    try:
        return TypeAdapter(TrackedState).validate_python({"layout": 1} | dict(read_json(store.tracked)))
    except (TypeError, ValueError, ValidationError) as error:
        raise StoreError(f"{store.tracked}: is damaged or from another version ({cause(error)}).") from error


def view_key(ranking: str | None) -> str:
    """Return the key of the saved view of a ranking. None is the ranking of params.yaml."""
    return VIEW if ranking is None else f"{VIEW}-{ranking}"[:LONGEST_KEY]


def comparison_link(experiment: str, view: str = VIEW, server: str = LOCAL_SERVER) -> str:
    """Return the link to a saved view of an experiment. Without `workflowType`, MLflow opens pages for language models."""
    query = f"workflowType=machine_learning&compareRunsMode=CHART&viewStateShareKey={quote(view)}"
    return f"{server.rstrip('/')}/#/experiments/{experiment}/runs?{query}"
