"""`itm serve`: a real server, a real schedule, and what two refreshes by the clock leave behind."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
import yaml

pytestmark = [pytest.mark.slow, pytest.mark.servers]

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


def test_two_refreshes_by_the_clock(project: Path, tmp_path: Path) -> None:
    """The second computes nothing; DVC is clean, MLflow has two parents a data set and the alias, all ports are on loopback."""
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    environment |= {"PREFECT_HOME": str(tmp_path / "prefect"), "DVC_NO_ANALYTICS": "1"}
    environment |= {"PREFECT_RUNNER_POLL_FREQUENCY": "2", "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5"}
    log = tmp_path / "serve.log"
    with log.open("w") as stream:
        command = ["itm", "serve", "--cron", EVERY_TEN_SECONDS]
        serving = subprocess.Popen(command, cwd=project, env=environment, stdout=stream, stderr=stream)
        try:
            records = [_record(project, number, serving, log) for number in (1, 2)]
            addresses = _listening(serving.pid)
        finally:
            serving.send_signal(signal.SIGINT)
            serving.wait(60)
    assert addresses == {"127.0.0.1"}
    assert [record["work"]["extracted"] for record in records] == [4, 0]
    assert [record["work"]["scores_cached"] for record in records] == [0, 8]
    assert [record["problems"] for record in records] == [[], []]
    status = subprocess.run(("dvc", "status"), cwd=project, env=environment, capture_output=True, text=True, check=True)
    assert "up to date" in status.stdout
    _check_tracked(project)


def test_a_schedule_that_is_none_is_refused_before_anything_starts(project: Path) -> None:
    """One line says what is wrong and how a schedule looks; no server is started for it."""
    command = ["itm", "serve", "--cron", "at night"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: --cron is 'at night', which is no schedule; an example is")


def _record(project: Path, number: int, serving: "subprocess.Popen[bytes]", log: Path) -> dict[str, dict[str, int]]:
    """Wait for the record of a refresh."""
    path = project / "data" / "refreshes" / f"{number:06d}" / "refresh.json"
    end = time.monotonic() + PATIENCE
    while not path.exists():
        assert serving.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.5)
    record: dict[str, dict[str, int]] = json.loads(path.read_text())
    return record


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
