"""MLflow client, experiments, and the commit of the code."""

import getpass
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_ENABLE_ASYNC_LOGGING", "false")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# short timeouts: a ranking that cannot be tracked is still written
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
os.environ.setdefault("PGCONNECT_TIMEOUT", "10")

from mlflow import MlflowClient
from mlflow.store.db import utils as mlflow_databases
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT, MLFLOW_SOURCE_NAME, MLFLOW_SOURCE_TYPE, MLFLOW_USER

from itm.core.errors import ParamsError, StoreError
from itm.core.keys import content_key
from itm.core.params import TrackParams
from itm.core.secrets import has_password, hide_secrets, remember_secret, reveal
from itm.store.layout import file_name
from tasks.track.databases import create_tables
from tasks.track.problems import tracking_error

log = logging.getLogger("itm.track")

BLOCK = "secret:"
LONGEST_NAME = 250  # characters; the columns of the database have 256
mlflow_databases.MAX_RETRY_COUNT = 4  # the default, 15 with exponential backoff, takes an hour


class _SecretFilter(logging.Filter):
    """Hide secrets in the log of MLflow, whose warnings repeat messages of database drivers.

    Only warnings pass: progress of a migration says nothing to the user, and errors are raised, too, and reported once.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = hide_secrets(record.getMessage()), None
        return record.levelno == logging.WARNING or not record.name.startswith("mlflow")  # a handler may serve other loggers


# each retry is logged, and the failure of the last one is reported
logging.getLogger("urllib3.connectionpool").addFilter(lambda record: "/api/2.0/mlflow" not in record.getMessage())
for _handler in logging.getLogger("mlflow").handlers:
    _handler.addFilter(_SecretFilter())


@contextmanager
def open_client(params: TrackParams) -> Iterator[MlflowClient]:
    """Yield an MLflow client, after creating a missing database.

    Any error within becomes a StoreError of one line without secrets, because Prefect stores the errors of tasks.
    """
    try:
        uri = _reveal_uri(params.uri) if params.uri else None
        if uri:
            create_tables(uri)
        yield MlflowClient(tracking_uri=uri, registry_uri=uri)
    except Exception as error:  # drivers, servers and MLflow raise many types
        raise StoreError(hide_secrets(tracking_error(error, hide_secrets(str(params.uri))))) from None


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

    One that was deleted in MLflow is restored. One whose files lie in another local folder, because the store was moved or
    copied, is renamed, and a new one begins: nothing is written outside of the store in use.

    Raises
    ------
    ParamsError
        If the artifact location contains a password, which MLflow would store.
    """
    artifacts = reveal(params.artifacts)
    if has_password(artifacts):
        raise ParamsError(
            "track.artifacts contains a password, which MLflow would write to its database; leave it out, and use the "
            "environment variables of the file system instead."
        )
    root = artifacts if "://" in artifacts else Path(artifacts).resolve().as_uri()
    location = f"{root}/{file_name(name)}"
    if existing := client.get_experiment_by_name(name):
        found = str(existing.experiment_id)
        if existing.lifecycle_stage == "deleted":
            log.warning("the MLflow experiment %r was deleted; it is restored, because this ranking is logged to it", name)
            client.restore_experiment(found)
        before = str(existing.artifact_location)
        if before == location or not (before.startswith("file:") and location.startswith("file:")):
            return found
        old = _name_elsewhere(name, before)
        log.warning("the files of the MLflow experiment %r lie in another place, so it is renamed to %r", name, old)
        client.rename_experiment(found, old)
        if own := client.get_experiment_by_name(_name_elsewhere(name, location)):  # the store is back at an earlier place
            client.rename_experiment(str(own.experiment_id), name)
            return str(own.experiment_id)
    return str(client.create_experiment(name, location, tags={"mlflow.experimentKind": "custom_model_development"}))


def _name_elsewhere(name: str, location: str) -> str:
    """Return the name of the experiment of a data set whose files are not in the store in use."""
    place = location.removeprefix("file://")
    text = f"{name} (files in {place})"
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 9]}-{content_key(text)[:8]}"


@cache
def origin() -> dict[str, str]:
    """Return the tags of who logs, with which command, and of which code."""
    commit = _code_commit()
    tags = {MLFLOW_SOURCE_TYPE: "LOCAL", MLFLOW_SOURCE_NAME: _command(), "code_commit": commit}
    if commit != "unknown":
        tags[MLFLOW_GIT_COMMIT] = commit.removesuffix("-dirty")
    with suppress(KeyError, OSError, ImportError):  # a container can have a user without a name
        tags[MLFLOW_USER] = getpass.getuser()
    return tags


def _command() -> str:
    """Return the program, and the subcommand of itm."""
    program = Path(sys.argv[0]).name or "python"
    return " ".join((program, *sys.argv[1:2])) if program == "itm" else program


def _code_commit() -> str:
    """Return the commit of this code, with the suffix -dirty if files are changed."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        result = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return result.stdout.strip()
