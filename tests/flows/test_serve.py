"""`itm serve`: a real server, a real schedule, and what two refreshes by the clock leave behind."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import yaml

from tests.dvc_project import DvcProject

pytestmark = [pytest.mark.slow, pytest.mark.servers]

MODELS = ["test_resnet.drawn_long", "test_efficientnet.textures"]
EVERY_TEN_SECONDS = "* * * * * */10"
PATIENCE = 240  # seconds


@pytest.fixture
def project(root: Path, tmp_path: Path, environment: dict[str, str]) -> Path:
    """Return the folder of a small project under git and DVC."""
    project = DvcProject(root, tmp_path / "project", environment)
    project.set_models(*MODELS)
    return project.folder


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return an environment with a Prefect of its own that is quick to see that it is time."""
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    environment |= {"PREFECT_HOME": str(tmp_path / "prefect"), "DVC_NO_ANALYTICS": "1"}
    return environment | {"PREFECT_RUNNER_POLL_FREQUENCY": "2", "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5"}


def sigterm(process: "subprocess.Popen[bytes]") -> None:
    """Stop a process as services are stopped. Some send the signal twice."""
    process.terminate()
    process.terminate()


def ctrl_c(process: "subprocess.Popen[bytes]") -> None:
    """Stop a process and its children as a terminal does."""
    os.killpg(process.pid, signal.SIGINT)


@contextmanager
def serving(
    project: Path, environment: dict[str, str], stop: Callable[["subprocess.Popen[bytes]"], None] = sigterm
) -> Iterator["subprocess.Popen[bytes]"]:
    """Refresh every ten seconds, and stop without an error message."""
    log = project / "serve.log"
    with log.open("w") as stream:
        command = ["itm", "serve", "--cron", EVERY_TEN_SECONDS]
        process = subprocess.Popen(command, cwd=project, env=environment, stdout=stream, stderr=stream, start_new_session=True)
        try:
            yield process
        finally:
            stop(process)
            process.wait(60)
    assert process.returncode == 0
    said = log.read_text()
    assert [word for word in ("Warning", "Error", "ERROR", "Traceback") if word in said] == [], said


def test_two_refreshes_by_the_clock(project: Path, environment: dict[str, str]) -> None:
    with serving(project, environment) as process:
        records = [json.loads(_written(_record(project, number), process).read_text())["payload"] for number in (1, 2)]
        addresses = _listening(process.pid)
    assert addresses == {"127.0.0.1"}
    assert [record["work"]["extracted"] for record in records] == [4, 0]
    assert [record["work"]["scores_cached"] for record in records] == [0, 8]
    assert [record["problems"] for record in records] == [[], []]
    status = subprocess.run(("dvc", "status"), cwd=project, env=environment, capture_output=True, text=True, check=True)
    assert "up to date" in status.stdout
    _check_tracked(project)


@pytest.mark.parametrize("stop", [pytest.param(sigterm, marks=pytest.mark.clusters), ctrl_c])
def test_a_running_refresh_is_stopped_too(
    project: Path, environment: dict[str, str], stop: Callable[["subprocess.Popen[bytes]"], None]
) -> None:
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["data"]["sets"] = [f"synthetic:shapes?images=400&seed={seed}" for seed in range(3)]
    params["score"] |= {"names": ["knn"], "rank_by": "knn"}
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    features = project / "data" / "cache" / "features"
    with serving(project, environment, stop) as process:
        _written(features, process)
    assert not _record(project, 1).exists()
    done = subprocess.run(["itm", "refresh"], cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    work = json.loads(_record(project, 2).read_text())["payload"]["work"]
    assert (work["failed"], work["extracted"] + work["features_cached"]) == (0, 6)
    assert work["features_cached"] > 0


def test_a_schedule_that_is_none_is_refused_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("data: {sets: [digits]}\n")
    command = ["itm", "serve", "--cron", "at night"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: --cron is 'at night', which is not a schedule;")


def _record(project: Path, number: int) -> Path:
    return project / "data" / "refreshes" / f"{number:06d}" / "refresh.json"


def _written(path: Path, process: "subprocess.Popen[bytes]") -> Path:
    """Wait for a file, or for one in a folder."""
    end = time.monotonic() + PATIENCE
    while not (any(path.rglob("[!.]*.parquet")) if path.suffix == "" else path.exists()):
        assert process.poll() is None, "it ended by itself"
        assert time.monotonic() < end, f"waited {PATIENCE} s for {path}"
        time.sleep(0.2)
    return path


def _listening(process: int) -> set[str]:
    """Return the addresses at which a process or one that it started listens."""
    family = [psutil.Process(process), *psutil.Process(process).children(recursive=True)]
    connections = [connection for one in family for connection in one.net_connections("inet")]
    return {connection.laddr.ip for connection in connections if connection.status == psutil.CONN_LISTEN}


def _check_tracked(project: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(*[f"sqlite:///{project}/data/mlflow.db"] * 2)
    for experiment in client.search_experiments():
        if experiment.name != "Default":
            runs = client.search_runs([experiment.experiment_id])
            parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
            assert parents
            assert client.get_model_version_by_alias(f"itm-{experiment.name}", "recommended").tags["model"] in MODELS
