"""The door to MLflow: a client whose database is made once, experiments with readable places for artifacts, and the commit."""

import logging
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_ENABLE_ASYNC_LOGGING", "false")
# who does not answer is given seconds: a ranking that cannot be tracked says so, and is there all the same
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
os.environ.setdefault("PGCONNECT_TIMEOUT", "10")

from mlflow import MlflowClient
from mlflow.store.db import utils as mlflow_databases

from itm.core.errors import ParamsError, StoreError
from itm.core.keys import slug
from itm.core.secrets import has_password, hidden, remember, revealed, told
from itm.core.sections import TrackParams
from tasks.track.databases import prepare

BLOCK = "secret:"
mlflow_databases.MAX_RETRY_COUNT = 4  # MLflow's own 15, each pause twice the last, are an hour


class _Discreet(logging.Filter):
    """Takes secrets out of what MLflow logs: its warnings repeat what a driver said."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = hidden(record.getMessage()), None
        return True


for _handler in logging.getLogger("mlflow").handlers:
    _handler.addFilter(_Discreet())


@contextmanager
def tracking(params: TrackParams) -> Iterator[MlflowClient]:
    """Give a client of where the parameters say to track.

    The address is known within alone, and no error that leaves holds it: Prefect writes down what tasks raise.

    Raises
    ------
    StoreError
        If anything goes wrong with MLflow, now or within.
    """
    try:
        yield mlflow_client(params)
    except Exception as error:  # of drivers, servers and MLflow, each with words of its own
        raise StoreError(told(error)) from None


def mlflow_client(params: TrackParams) -> MlflowClient:
    """Return a client of where the parameters say to track; a database is made if it is not there.

    Raises
    ------
    ParamsError
        If the address cannot be had from the environment or from Prefect, or the database cannot be reached.
    """
    uri = _address(params.uri) if params.uri else None
    if uri:
        prepare(uri)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _address(uri: str) -> str:
    """Return the URI with its secrets in their places."""
    if not uri.startswith(BLOCK):
        return revealed(uri)
    from prefect.blocks.system import Secret  # asks a server

    name = uri.removeprefix(BLOCK)
    try:
        found = Secret.load(name).get()  # type: ignore[union-attr]
    except ValueError as error:
        raise ParamsError(
            f"track.uri is {uri!r}, but Prefect has no Secret {name!r}; make it on its page under Blocks, or write the "
            "$NAME of an environment variable."
        ) from error
    remember(str(found))
    return str(found)


def experiment(client: MlflowClient, name: str, params: TrackParams) -> str:
    """Return the id of the experiment called `name`, making it where there is none.

    Raises
    ------
    ParamsError
        If the place for artifacts carries a password, since MLflow writes it down.
    """
    found = client.get_experiment_by_name(name)
    if found:
        return str(found.experiment_id)
    artifacts = revealed(params.artifacts)
    if has_password(artifacts):
        raise ParamsError(
            "track.artifacts carries a password, and MLflow would write it into its database; leave it out, and give it to the "
            "file system through that one's own environment variables."
        )
    location = artifacts if "://" in artifacts else Path(artifacts).resolve().as_uri()
    created = client.create_experiment(
        name, artifact_location=f"{location}/{slug(name)}", tags={"mlflow.experimentKind": "custom_model_development"}
    )
    return str(created)


def code_commit() -> str:
    """Return the commit of this code, marked where it has been changed since."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        asked = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return asked.stdout.strip()
