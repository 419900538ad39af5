"""The Prefect flow: the same ranking as the library alone, failures as rows, and a tracked result."""

import logging
from pathlib import Path

import polars as pl
import pytest

from itm.core.params import Params
from itm.core.yaml_records import parse
from itm.features import devices
from itm.run import pipeline
from itm.run.executors import Inline
from itm.store.layout import Store

pytestmark = pytest.mark.slow

MODELS = ["test_resnet.drawn_long", "test_efficientnet.textures"]


def parameters(root: Path, folder: Path, **changes: object) -> Params:
    """Return parameters of a small ranking below `folder`."""
    values = {
        "data": {"sets": ["synthetic:shapes?images=60", "synthetic:textures?images=60"]},
        "zoo": {"file": root / "data" / "zoo" / "zoo.yaml", "models": MODELS},
        "score": {"names": ["itm", "knn"]},
        "track": {"uri": f"sqlite:///{folder}/mlflow.db", "artifacts": f"{folder}/mlruns"},
        "store": folder,
    }
    return parse(values | changes, Params, "test")


@pytest.mark.usefixtures("prefect_server")
def test_the_flow_and_the_library_alone_write_the_same_scores(root: Path, tmp_path: Path) -> None:
    from flows.rank import run

    by_flow, alone = tmp_path / "flow", tmp_path / "alone"
    run(parameters(root, by_flow), Store(by_flow))
    pipeline.run(parameters(root, alone), Store(alone), Inline())
    assert Store(by_flow).scores.read_bytes() == Store(alone).scores.read_bytes()


@pytest.mark.usefixtures("prefect_server")
def test_the_flow_drops_in_a_race_what_the_library_drops(root: Path, tmp_path: Path) -> None:
    from flows.rank import run

    changes = {
        "data": {"sets": ["digits"], "max_images": 700},
        "zoo": {"models": ["mini_resnet18.supervised", "test_vit.untrained"]},
        "score": {"names": ["knn"]},
        "filters": {"race": True},
        "track": {"uri": None},
    }
    by_flow, alone = tmp_path / "flow", tmp_path / "alone"
    ranking, _ = run(parameters(root, by_flow, **changes), Store(by_flow))
    assert [one.model for one in ranking.excluded] == ["test_vit.untrained"]
    assert ranking.excluded == pipeline.run(parameters(root, alone, **changes), Store(alone), Inline()).excluded


@pytest.mark.clusters
@pytest.mark.servers
@pytest.mark.usefixtures("prefect_server")
def test_processes_write_the_same_scores_too(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.rank import run

    monkeypatch.setattr(
        devices, "THREADS", 1
    )  # as each process has: embeddings differ in their last digits with another number
    folder, alone = tmp_path / "processes", tmp_path / "alone"
    score = {"names": ["itm", "ped", "ncti"]}
    changes = {"data": {"sets": ["synthetic:shapes?images=60"]}, "score": score}
    run(parameters(root, folder, runner={"kind": "processes", "workers": 2, "together": 2}, **changes), Store(folder))
    pipeline.run(parameters(root, alone, **changes), Store(alone))
    assert Store(folder).scores.read_bytes() == Store(alone).scores.read_bytes()


@pytest.mark.usefixtures("prefect_server")
def test_tasks_that_fail_become_rows(root: Path, tmp_path: Path) -> None:
    from flows.rank import run

    (tmp_path / "broken.safetensors").write_bytes(b"not weights")
    (tmp_path / "strange.py").write_text(
        "from timm import create_model\n\n\ndef build():\n    model = create_model('test_resnet', num_classes=32)\n"
        "    model.forward_features = lambda x: {}['nowhere']\n    return model\n"
    )
    good = root / "data" / "zoo" / "test_resnet.drawn_long.safetensors"
    zoo = tmp_path / "zoo.yaml"
    zoo.write_text(
        f"models:\n- {{name: good, architecture: test_resnet, arguments: {{num_classes: 32}}, checkpoint: {good}}}\n"
        "- {name: broken, architecture: test_resnet, checkpoint: broken.safetensors}\n"
        f"- {{name: strange, factory: 'strange.py:build', checkpoint: {good}, input_size: 48}}\n"
    )
    changes = {"data": {"sets": ["synthetic:shapes?images=60"]}, "runner": {"together": 3}}
    params = parameters(root, tmp_path / "store", zoo={"file": zoo, "code": [tmp_path]}, **changes)
    result, _ = run(params, Store(params.store))
    assert [(row.model, row.status) for row in result.data_sets[0].rows] == [
        ("good", "ranked"),
        ("broken", "failed"),
        ("strange", "failed"),
    ]
    failures = pl.read_parquet(Store(params.store).scores).filter(pl.col("status") == "failed")
    assert failures["model"].to_list() == ["broken", "strange"]
    assert "broken.safetensors" in failures["reason"][0]
    assert "nowhere" in failures["reason"][1]


@pytest.mark.usefixtures("prefect_server")
def test_the_ranking_stands_when_tracking_fails(root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from flows.rank import run

    nowhere = {"uri": "sqlite:////proc/nowhere/mlflow.db", "artifacts": str(tmp_path)}
    params = parameters(root, tmp_path / "store", track=nowhere, data={"sets": ["synthetic:shapes?images=60"]})
    log = logging.getLogger("itm.flow")
    log.addHandler(caplog.handler)  # Prefect may set up the handlers of the root logger meanwhile
    try:
        _, problem = run(params, Store(params.store))
    finally:
        log.removeHandler(caplog.handler)
    assert Store(params.store).ranking.exists()
    assert "/proc/nowhere" in problem
    assert "not tracked" in caplog.text
