"""MLflow client, experiments, and the commit of the code."""

import logging
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_ENABLE_ASYNC_LOGGING", "false")
# short timeouts: a ranking that cannot be tracked is still written
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
os.environ.setdefault("PGCONNECT_TIMEOUT", "10")

from mlflow import MlflowClient
from mlflow.store.db import utils as mlflow_databases

from itm.core.errors import ParamsError, StoreError
from itm.core.keys import slug
from itm.core.params import TrackParams
from itm.core.secrets import error_message, has_password, hide_secrets, remember_secret, reveal
from tasks.track.databases import create_tables

BLOCK = "secret:"
mlflow_databases.MAX_RETRY_COUNT = 4  # the default, 15 with exponential backoff, takes an hour


class _SecretFilter(logging.Filter):
    """Hide secrets in the log of MLflow, whose warnings repeat messages of database drivers."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = hide_secrets(record.getMessage()), None
        return True


for _handler in logging.getLogger("mlflow").handlers:
    _handler.addFilter(_SecretFilter())


@contextmanager
def open_client(params: TrackParams) -> Iterator[MlflowClient]:
    """Yield an MLflow client, after creating a missing database.

    Any error within becomes a StoreError without secrets, because Prefect stores the errors of tasks.
    """
    try:
        uri = _reveal_uri(params.uri) if params.uri else None
        if uri:
            create_tables(uri)
        yield MlflowClient(tracking_uri=uri, registry_uri=uri)
    except Exception as error:  # drivers, servers and MLflow raise many types
        raise StoreError(error_message(error)) from None


def _reveal_uri(uri: str) -> str:
    if not uri.startswith(BLOCK):
        return reveal(uri)
    from prefect.blocks.system import Secret  # imported late: it contacts a server

    name = uri.removeprefix(BLOCK)
    try:
        secret = Secret.load(name).get()  # type: ignore[union-attr]
    except ValueError as error:
        raise ParamsError(
            f"track.uri is {uri!r}, but Prefect has no Secret {name!r}; create it on the page Blocks of the server, or write "
            "the $NAME of an environment variable."
        ) from error
    remember_secret(str(secret))
    return str(secret)


def get_experiment(client: MlflowClient, name: str, params: TrackParams) -> str:
    """Return the id of the experiment `name`, after creating it if necessary.

    Raises
    ------
    ParamsError
        If the artifact location contains a password, which MLflow would store.
    """
    existing = client.get_experiment_by_name(name)
    if existing:
        return str(existing.experiment_id)
    artifacts = reveal(params.artifacts)
    if has_password(artifacts):
        raise ParamsError(
            "track.artifacts contains a password, which MLflow would write to its database; leave it out, and use the "
            "environment variables of the file system instead."
        )
    location = artifacts if "://" in artifacts else Path(artifacts).resolve().as_uri()
    created = client.create_experiment(
        name, artifact_location=f"{location}/{slug(name)}", tags={"mlflow.experimentKind": "custom_model_development"}
    )
    return str(created)


def code_commit() -> str:
    """Return the commit of this code, with the suffix -dirty if files are changed."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        result = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return result.stdout.strip()
