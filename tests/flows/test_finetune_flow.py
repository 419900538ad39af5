"""The fine-tuning flow: the same runs as the library alone, failures as rows, and a tracked result."""

from dataclasses import replace
from pathlib import Path

import pytest

from itm.core.params import Params
from itm.core.yaml_records import parse
from itm.features import devices
from itm.finetuning import pairs
from itm.run.executors import Inline
from itm.store.files import read_json, read_table
from itm.store.layout import Store

pytestmark = [pytest.mark.slow, pytest.mark.servers]

MODELS = ["test_resnet.drawn_long", "test_efficientnet.textures"]
NAME = "shapes-images60"


def parameters(root: Path, folder: Path, **changes: object) -> Params:
    """Return parameters of a small fine-tuning below `folder`."""
    values = {
        "data": {"sets": [f"made:{NAME.replace('-', '?').replace('s60', 's=60')}"]},
        "zoo": {"file": root / "data" / "zoo" / "zoo.yaml", "models": [*MODELS, "test_resnet.nowhere"]},
        "score": {"names": ["knn"], "rank_by": "knn"},
        "finetune": {"steps": 4, "seeds": 1, "evaluations": 1, "learning_rates": [1e-4, 1e-2]},
        "track": {"uri": f"sqlite:///{folder}/mlflow.db", "artifacts": f"{folder}/mlruns"},
        "store": folder,
    }
    return parse(values | changes, Params, "test")


@pytest.mark.clusters
@pytest.mark.usefixtures("prefect_server")
def test_processes_find_what_the_library_alone_finds(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.finetune import run

    monkeypatch.setattr(devices, "THREADS", 1)  # as each process has: sums differ in their last digits with another number
    folder, alone = tmp_path / "processes", tmp_path / "alone"
    finetuned, confirmed, problem = run(parameters(root, folder, runner={"kind": "processes", "workers": 2}), Store(folder))
    expected, _ = pairs.run(parameters(root, alone), Store(alone), runner=Inline())
    assert (confirmed, problem) == ((), "")
    timeless = {"seconds": 0.0, "images_per_second": 0.0}
    for one, other in zip(finetuned, expected, strict=True):
        assert (one.model, one.failures) == (other.model, other.failures)
        assert [replace(run, **timeless) for run in one.runs] == [replace(run, **timeless) for run in other.runs]
    table = read_table(Store(folder).finetuned)
    assert table["status"].to_list().count("failed") == 1

    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    (experiment,) = [one for one in client.search_experiments() if one.name == NAME]
    found = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert set(found) == {"2 of 3 fine-tuned", *MODELS, "test_resnet.nowhere"}
    parent, child = found["2 of 3 fine-tuned"], found[MODELS[0]]
    assert [file.path for file in client.list_artifacts(parent.info.run_id)] == ["runs.parquet"]
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    runs = {run.protocol: run for pair in finetuned if pair.model == MODELS[0] for run in pair.runs}
    for protocol, one in runs.items():
        assert child.data.metrics[f"finetuned/{protocol}"] == one.test_accuracy
        assert child.data.params[f"{protocol}/learning_rate"] == f"{one.learning_rate:g}"
        assert len(client.get_metric_history(child.info.run_id, f"finetuned/{protocol}/each_seed")) == 1
    assert found["test_resnet.nowhere"].info.status == "FAILED"
    assert found["test_resnet.nowhere"].data.tags["failure"].startswith("zoo: ")


@pytest.mark.clusters
@pytest.mark.usefixtures("prefect_server")
def test_only_dask_workers_with_a_gpu_fine_tune(root: Path, tmp_path: Path) -> None:
    from distributed import Client, Nanny, Scheduler, SpecCluster

    from flows.finetune import run

    local = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    worker = {"cls": Nanny, "options": local | {"nthreads": 1}}
    gpu = {"cls": Nanny, "options": local | {"nthreads": 1, "resources": {"GPU": 1}}}
    scheduler = {"cls": Scheduler, "options": local | {"port": 0}}
    store = Store(tmp_path / "store")
    with SpecCluster({"gpu": gpu, "other": worker}, scheduler) as cluster, Client(cluster) as client:
        client.wait_for_workers(2, 120)
        client.get_task_stream()  # from now on
        dask = {"kind": "dask", "address": cluster.scheduler_address}
        finetuned, _, problem = run(parameters(root, store.root, runner=dask, track={"uri": None}), store)
        tasks = client.get_task_stream(count=1000)
        (address,) = [one for one, told in client.scheduler_info()["workers"].items() if "GPU" in told["resources"]]
    assert ({pair.model: len(pair.runs) for pair in finetuned if pair.runs}, problem) == (dict.fromkeys(MODELS, 2), "")
    assert [(task["key"].split("-")[0], task["worker"]) for task in tasks] == [("finetune_pair", address)] * len(MODELS)


@pytest.mark.usefixtures("prefect_server")
def test_a_task_that_fails_is_a_row_and_the_first_are_confirmed(root: Path, tmp_path: Path) -> None:
    from flows.finetune import run
    from flows.rank import run as rank

    (tmp_path / "strange.py").write_text(
        "import timm\n\n\nclass Strange(timm.models.resnet.ResNet):\n    def forward_features(self, x):\n"
        "        if self.training:\n            raise KeyError('in training')\n        return super().forward_features(x)\n\n\n"
        "def build():\n    model = timm.create_model('test_resnet', num_classes=32)\n    model.__class__ = Strange\n"
        "    return model\n"
    )
    good = root / "data" / "zoo" / "test_resnet.drawn_long.safetensors"
    zoo = tmp_path / "zoo.yaml"
    zoo.write_text(
        f"models:\n- {{name: good, architecture: test_resnet, arguments: {{num_classes: 32}}, checkpoint: {good}, "
        f"input_size: 48}}\n- {{name: strange, factory: 'strange.py:build', checkpoint: {good}, input_size: 48}}\n"
    )
    store = Store(tmp_path / "store")
    params = parameters(root, store.root, zoo={"file": zoo, "code": [zoo.parent]})
    rank(params, store)
    finetuned, (confirmed,), problem = run(params, store, 2)
    assert problem == ""
    assert {pair.model: pair.reason for pair in finetuned} == {"good": "", "strange": "finetune: KeyError: 'in training'"}
    assert confirmed.pick == "good"
    assert read_json(store.confirmed)["data_sets"][0]["pick"] == "good"

    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{store.root}/mlflow.db")
    (experiment,) = [one for one in client.search_experiments() if one.name == NAME]
    tracked = [run for run in client.search_runs([experiment.experiment_id]) if "confirmed" in run.data.tags]
    assert [run.data.tags["confirmed"] for run in tracked] == ["good"]
    files = {file.path for file in client.list_artifacts(tracked[0].info.run_id)}
    assert files == {"runs.parquet", "confirmed.json", "models"}  # the fine-tuned recommended model is registered again
