"""`itm serve`: a real server, a real schedule, and what two refreshes by the clock leave behind."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import yaml

pytestmark = pytest.mark.slow

MODELS = ["test_resnet.drawn_long", "test_efficientnet.textures"]
EVERY_TEN_SECONDS = "* * * * * */10"
PATIENCE = 240  # seconds


@pytest.fixture
def project(root: Path, tmp_path: Path) -> Path:
    """Return a copy of the project with small data sets, under its own git and DVC."""
    folder = tmp_path / "project"
    for name in ("flows", "itm", "tasks", "data/zoo"):
        shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    params = yaml.safe_load((root / "params.yaml").read_text())
    params["data"]["sets"] = ["made:shapes?images=60", "made:textures?images=60"]
    params["zoo"]["models"], params["score"]["names"] = MODELS, ["itm", "knn"]
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    stages = yaml.safe_load((root / "dvc.yaml").read_text())
    stages = {"stages": {name: stage for name, stage in stages["stages"].items() if name != "evaluate"}}
    (folder / "dvc.yaml").write_text(yaml.safe_dump(stages))
    shutil.copy(root / ".gitignore", folder)
    for command in (("git", "init", "--quiet"), ("dvc", "init", "--quiet")):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return an environment with a Prefect of its own that is quick to see that it is time."""
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    environment |= {"PREFECT_HOME": str(tmp_path / "prefect"), "DVC_NO_ANALYTICS": "1"}
    return environment | {"PREFECT_RUNNER_POLL_FREQUENCY": "2", "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5"}


@contextmanager
def serving(project: Path, environment: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """Refresh every ten seconds, and be ended in the way services are, without a complaint."""
    log = project / "serve.log"
    with log.open("w") as stream:
        command = ["itm", "serve", "--cron", EVERY_TEN_SECONDS]
        process = subprocess.Popen(command, cwd=project, env=environment, stdout=stream, stderr=stream)
        try:
            yield process
        finally:
            process.terminate()
            process.terminate()  # some send it twice
            process.wait(60)
    assert process.returncode == 0
    said = log.read_text()
    assert [word for word in ("Warning", "Error", "ERROR", "Traceback") if word in said] == [], said


def test_two_refreshes_by_the_clock(project: Path, environment: dict[str, str]) -> None:
    """The second computes nothing; DVC is clean, MLflow has two parents a data set and the alias, all ports are on loopback."""
    with serving(project, environment) as process:
        records = [json.loads(_written(_record(project, number), process).read_text()) for number in (1, 2)]
        addresses = _listening(process.pid)
    assert addresses == {"127.0.0.1"}
    assert [record["work"]["extracted"] for record in records] == [4, 0]
    assert [record["work"]["scores_cached"] for record in records] == [0, 8]
    assert [record["problems"] for record in records] == [[], []]
    status = subprocess.run(("dvc", "status"), cwd=project, env=environment, capture_output=True, text=True, check=True)
    assert "up to date" in status.stdout
    _check_tracked(project)


@pytest.mark.servers
def test_a_refresh_that_goes_on_is_ended_too(project: Path, environment: dict[str, str]) -> None:
    """Who stops the schedule does not wait for the night's work; the next refresh finds what was done of it."""
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["data"]["sets"] = [f"made:shapes?images=600&seed={seed}" for seed in range(6)]
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    features = project / "data" / "cache" / "features"
    with serving(project, environment) as process:
        _written(features, process)
    assert not _record(project, 1).exists()
    done = subprocess.run(["itm", "refresh"], cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    work = json.loads(_record(project, 2).read_text())["work"]
    assert (work["failed"], work["extracted"] + work["features_cached"]) == (0, 12)
    assert work["features_cached"] > 0


def test_a_schedule_that_is_none_is_refused_before_anything_starts(project: Path) -> None:
    """One line says what is wrong and how a schedule looks; no server is started for it."""
    command = ["itm", "serve", "--cron", "at night"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: --cron is 'at night', which is no schedule; an example is")


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
            assert len(parents) >= 2
            assert client.get_model_version_by_alias(f"itm-{experiment.name}", "recommended").tags["model"] in MODELS
