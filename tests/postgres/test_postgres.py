"""Prefect and MLflow on a real PostgreSQL server, by nothing but an address each."""

import json
import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
import yaml
from postgres_cluster import OWNER, Cluster, Database, free_port

from itm.core.errors import ParamsError
from itm.core.params import Params
from itm.core.yaml_records import parse
from itm.features import devices
from itm.run import pipeline
from itm.store.layout import Store

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.clusters]

MODELS = ["test_resnet.drawn_long", "test_efficientnet.textures"]
TRACKING = "ITM_TRACKING_URI"
REVEALED = f"${TRACKING}"
RACERS = 4


@pytest.fixture
def prefect(cluster: Cluster, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Start a Prefect server on a fresh database, and return the environment of whoever runs flows on it."""
    database = cluster.create("prefect")
    home, api = tmp_path / "prefect", f"http://127.0.0.1:{(port := free_port())}/api"
    environment = os.environ | {
        "PREFECT_HOME": str(home),
        "PREFECT_API_DATABASE_CONNECTION_URL": database.url("postgresql+asyncpg"),
        "PREFECT_API_URL": api,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "true",
        "OMP_NUM_THREADS": "1",
    }
    home.mkdir()
    command = ["prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (home / "log").open("w") as output:
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        _wait_for(f"{api}/health", server, home / "log")
        yield environment
    finally:
        server.terminate()
        server.wait(60)


def _wait_for(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 180
    while time.monotonic() < end and server.poll() is None:
        try:
            with urlopen(address, timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.5)
    pytest.fail(f"the Prefect server does not answer: {log.read_text()}")


def values(root: Path, folder: Path, uri: str | None, family: str = "shapes") -> dict[str, Any]:
    """Return what params.yaml says of a small ranking below `folder`."""
    return {
        "data": {"sets": [f"{family}=made:{family}?images=40"]},
        "zoo": {"file": str(root / "data" / "zoo" / "zoo.yaml"), "models": MODELS},
        "score": {"names": ["itm", "knn"]},
        "track": {"uri": uri},
        "store": str(folder),
    }


def command(values: dict[str, Any]) -> list[str]:
    """Write the parameters and return the command that ranks by them."""
    folder = Path(values["store"])
    folder.mkdir()
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    return ["itm", "rank", "--params", str(folder / "params.yaml")]


def test_a_ranking_on_postgres_is_that_of_the_library_alone(
    root: Path, tmp_path: Path, prefect: dict[str, str], mlflow: Database, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "THREADS", 1)  # as the command has
    alone, tracked = tmp_path / "alone", tmp_path / "tracked"
    pipeline.run(parse(values(root, alone, None), Params, "test"), Store(alone))
    subprocess.run(
        command(values(root, tracked, REVEALED)), env=prefect | {TRACKING: mlflow.url()}, check=True, capture_output=True
    )
    assert Store(tracked).scores.read_bytes() == Store(alone).scores.read_bytes()
    assert list(tmp_path.rglob("*.db")) == []

    asked = Request(f"{prefect['PREFECT_API_URL']}/flow_runs/filter", b"{}", {"Content-Type": "application/json"})
    with urlopen(asked) as answer:
        (flow_run,) = json.load(answer)
    assert flow_run["state_type"] == "COMPLETED"
    assert cluster.database("prefect").count("flow_run") == 1

    parent, children = logged(mlflow.url(), "shapes")
    assert sorted(child.data.tags["model"] for child in children) == MODELS[::-1]
    assert parent.data.metrics["models_ranked"] == 2
    assert mlflow.count("runs") == 3


def logged(uri: str, data: str) -> tuple[Any, list[Any]]:
    """Return the parent run that a ranking on `data` logged, and its children."""
    from mlflow import MlflowClient
    from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

    client = MlflowClient(uri, registry_uri=uri)
    (experiment,) = [one for one in client.search_experiments() if one.name == data]
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in runs if MLFLOW_PARENT_RUN_ID not in run.data.tags]
    children = [run for run in runs if run.data.tags.get(MLFLOW_PARENT_RUN_ID) == parent.info.run_id]
    assert len(children) == len(runs) - 1
    return parent, children


def test_two_rankings_may_meet_on_a_fresh_database(
    root: Path, tmp_path: Path, prefect: dict[str, str], mlflow: Database
) -> None:
    families = ("shapes", "textures")
    commands = [command(values(root, tmp_path / family, REVEALED, family)) for family in families]
    running = [
        subprocess.Popen(
            words, env=prefect | {TRACKING: mlflow.url()}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for words in commands
    ]
    told = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0], told
    assert not any("not tracked" in text for text in told), told
    assert [len(logged(mlflow.url(), family)[1]) for family in families] == [2, 2]


def _prepare(uri: str, barrier: Any) -> None:
    from tasks.track.databases import create_tables

    barrier.wait(120)
    create_tables(uri)


def test_a_fresh_database_is_made_once(mlflow: Database) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tasks.track.databases"])  # MLflow is imported once for all
    barrier = context.Barrier(RACERS)
    racers = [context.Process(target=_prepare, args=(mlflow.url(), barrier)) for _ in range(RACERS)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert [racer.exitcode for racer in racers] == [0] * RACERS
    from tasks.track.databases import create_tables

    create_tables(mlflow.url())
    assert (mlflow.count("alembic_version"), mlflow.count("experiments")) == (1, 1)


def test_a_killed_migration_is_finished_by_the_next(mlflow: Database) -> None:
    from tasks.track.databases import create_tables

    killed = multiprocessing.get_context("forkserver").Process(target=create_tables, args=(mlflow.url(),))
    killed.start()
    while killed.is_alive() and not mlflow.tables():
        time.sleep(0.05)
    killed.kill()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    half = mlflow.tables()
    create_tables(mlflow.url())
    assert len(half) < len(mlflow.tables())
    assert mlflow.count("alembic_version") == 1


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("postgresql://{user}:{password}@127.0.0.1:{port}/nowhere", '"nowhere" does not exist'),
        ("postgresql://{user}:guess@127.0.0.1:{port}/postgres", "password authentication failed"),
        ("postgresql+asyncpg://{user}:{password}@127.0.0.1:{port}/postgres", "only Prefect supports"),
        ("postgres://{user}:{password}@127.0.0.1:{port}/postgres", "the URI of the database is invalid"),
        ("postgresql://{user}:un@escaped@127.0.0.1:{port}/postgres", "more than one @"),
        ("postgresql://{user}:{password}@127.0.0.1:port/postgres", "the URI of the database is invalid"),
    ],
)
def test_a_wrong_address_is_told_without_the_password(cluster: Cluster, wrong: str, reason: str) -> None:
    from tasks.track.databases import create_tables

    escaped = quote(cluster.password, safe="")
    uri = wrong.format(user=OWNER, password=escaped, port=cluster.port)
    with pytest.raises(ParamsError, match=reason) as caught:
        create_tables(uri)
    assert not any(secret in str(caught.value) for secret in (escaped, cluster.password, "guess", "escaped@"))
