"""The selection flow: one task per rung, and a tracked search with learning curves."""

from pathlib import Path

import pytest
import yaml

from itm.core.params import Params
from itm.core.selections import SearchBudget
from itm.core.yaml_records import parse
from itm.store.layout import Store
from itm.store.selection_file import read_selections

pytestmark = [pytest.mark.slow, pytest.mark.servers]

MODELS = ["test_resnet.drawn_long", "test_efficientnet.textures"]


def parameters(root: Path, folder: Path) -> Params:
    values = {
        "data": {"sets": ["digits"], "max_images": 150},
        "zoo": {"file": root / "data" / "zoo" / "zoo.yaml", "models": MODELS},
        "score": {"names": ["linear_probe"]},
        "finetune": {"protocols": ["full"], "steps": 2, "seeds": 1, "evaluations": 2, "learning_rates": [1e-4, 1e-2]},
        "runner": {"kind": "threads", "workers": 2},
        "track": {"uri": f"sqlite:///{folder}/mlflow.db", "artifacts": f"{folder}/mlruns"},
        "store": folder,
    }
    return parse(values, Params, "test")


@pytest.mark.usefixtures("prefect_server")
def test_a_selection_is_made_of_tasks_and_is_tracked(root: Path, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    from flows.select import run

    params, store, seen = parameters(root, tmp_path), Store(tmp_path), []
    budget = SearchBudget(share=0.7)
    selections, problem = run(params, store, budget, seen.append)
    (selection,) = selections
    assert problem == ""
    assert read_selections(store) == selections
    assert len(seen) > len(selection.experiments) > 0

    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("digits")
    assert experiment is not None
    found = {logged.info.run_name: logged for logged in client.search_runs([experiment.experiment_id])}
    parent = found[f"selected {selection.pick}"]
    assert set(found) == {f"selected {selection.pick}", *MODELS}
    history = client.get_metric_history(parent.info.run_id, "search/regret")
    assert len(history) == len(selection.states)
    assert {file.path for file in client.list_artifacts(parent.info.run_id)} == {"selection.json", "selection.html"}
    child, best = found[selection.pick or ""], selection.best
    assert best is not None
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert child.data.metrics["predicted/accuracy"] == pytest.approx(best.accuracy)
    curve = next(own for own in selection.curves if own.model == selection.pick)
    logged = client.get_metric_history(child.info.run_id, f"val_accuracy/rate {curve.learning_rate:g}/seed {curve.seed}")
    assert [(own.step, own.value) for own in logged] == [pytest.approx(mark) for mark in curve.marks]

    again, _ = run(params, store, budget)  # answered from the store, and not logged again
    assert again[0].pick == selection.pick
    assert len(client.search_runs([experiment.experiment_id])) == len(found)


@pytest.mark.usefixtures("prefect_server")
def test_a_refresh_selects_after_the_ranking(root: Path, tmp_path: Path) -> None:
    from flows.refresh import refresh_flow

    values = parameters(root, tmp_path / "store").model_dump(mode="json")
    values |= {"track": {"uri": None}, "refresh": {"version": False}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    record, _ = refresh_flow(str(tmp_path / "params.yaml"), select="50%")
    (selection,) = read_selections(Store(tmp_path / "store"))
    assert selection.pick in MODELS
    assert selection.weights_file is not None
    assert "select" in record.steps
    assert record.problems == ()
