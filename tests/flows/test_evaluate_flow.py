"""`itm evaluate` over the committed measurements: through the command, the flow and MLflow, to the docs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = [pytest.mark.slow, pytest.mark.servers]


@pytest.fixture(scope="module")
def evaluation(prefect_server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store in which the command left the evaluation of the committed measurements."""
    import os

    root, store = Path(__file__).parents[2], tmp_path_factory.mktemp("evaluation")
    params = yaml.safe_load((root / "params.yaml").read_text())
    params |= {"store": str(store), "track": {"uri": f"sqlite:///{store}/mlflow.db", "artifacts": f"{store}/mlruns"}}
    params["evaluate"]["measured"] = str(root / "data" / "desk")
    (store / "params.yaml").write_text(yaml.safe_dump(params))
    itm = Path(sys.executable).parent / "itm"
    command = [itm, "evaluate", "--quiet", "--params", store / "params.yaml"]
    subprocess.run(command, check=True, env=os.environ | prefect_server, capture_output=True)
    return store


def test_docs_print_what_the_command_writes(evaluation: Path, root: Path) -> None:
    evidence = (root / "docs" / "studies" / "evidence.md").read_text()
    for name in ("short.md", "table.md"):
        assert (evaluation / "evaluation" / name).read_text() in evidence


def test_summary_has_every_pool_and_figure(evaluation: Path) -> None:
    summary = json.loads((evaluation / "evaluation" / "summary.json").read_text())
    assert list(summary) == ["desk", "desk, pools of 10", "mini", "real", "real, pools of 10"]
    for pool in summary.values():
        assert {"itm", "itm_eta0", "logme", "parameters", "mean_rank_elsewhere", "head_only", "other_seed"} <= pool.keys()
        for figures in pool.values():
            mean, low, high = figures["tau_w"]
            assert -1 <= low <= mean <= high <= 1
            assert {"worst", "regret", "top1"} <= figures.keys()
    assert summary["desk"]["itm_shuffled"]["tau_w"][0] < summary["desk"]["itm"]["tau_w"][0]


def test_mlflow_compares_contenders(evaluation: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{evaluation}/mlflow.db")
    (experiment,) = [one for one in client.search_experiments() if one.name == "evaluation"]
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    parent = runs.pop("evaluation of 3 pools")
    assert "index.html" in [file.path for file in client.list_artifacts(parent.info.run_id)]
    assert all(run.data.tags["mlflow.parentRunId"] == parent.info.run_id for run in runs.values())
    summary = json.loads((evaluation / "evaluation" / "summary.json").read_text())
    assert runs.keys() == summary["desk"].keys()
    assert runs["itm"].data.metrics["desk/tau_w"] == pytest.approx(summary["desk"]["itm"]["tau_w"][0], abs=1e-4)
    assert runs["knn"].data.tags["kind"] == "control"
