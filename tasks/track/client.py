"""The door to MLflow: a client whose database is made once, experiments with readable places for artifacts, and the commit."""

import os
import subprocess
from pathlib import Path

os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_ENABLE_ASYNC_LOGGING", "false")

from filelock import FileLock
from mlflow import MlflowClient

from itm.keys import slug
from itm.params import TrackParams
from itm.store import write_beside


def mlflow_client(params: TrackParams) -> MlflowClient:
    """Return a client of where the parameters say to track; a database in a file is made if it is not there."""
    if params.uri and params.uri.startswith("sqlite:///"):
        _make_database(Path(params.uri.removeprefix("sqlite:///")))
    return MlflowClient(tracking_uri=params.uri, registry_uri=params.uri)


def _make_database(path: Path) -> None:
    """Make a new database whole or not at all, and once: a migration that is killed half way could never be finished."""

    def migrate(temporary: Path) -> None:
        MlflowClient(f"sqlite:///{temporary}").search_experiments()

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if not path.exists():
            write_beside(path, migrate)


def experiment(client: MlflowClient, name: str, params: TrackParams) -> str:
    """Return the id of the experiment called `name`, making it where there is none."""
    found = client.get_experiment_by_name(name)
    if found:
        return str(found.experiment_id)
    location = params.artifacts if "://" in params.artifacts else Path(params.artifacts).resolve().as_uri()
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
