"""Candidates in MLflow: child runs, logged models, and the saved view that compares them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from itm.core.errors import StoreError
from itm.core.params import TrackParams
from itm.core.rankings import RankedModel, Ranking
from itm.store.files import write_json, write_text
from itm.store.layout import Store
from itm.store.tracked_file import read_tracked
from tests.report.example import example_ranking

pytestmark = pytest.mark.slow

DATA = "flowers5"
VIEW = "mlflow.sharedViewState.candidates"
TRIAL = "flowers5-1a2b3c"


def ranking(*rows: RankedModel) -> Ranking:
    whole = example_ranking()
    first = whole.data_sets[0]
    return replace(whole, data_sets=(replace(first, rows=rows or (*first.rows[:2], first.rows[-1])),))


def track(folder: Path, result: Ranking, trial: str | None = None) -> Any:
    """Log a ranking and return the client and the id of the experiment."""
    from mlflow import MlflowClient

    from tasks.track.ranking import track as task

    params = TrackParams(uri=f"sqlite:///{folder}/mlflow.db", artifacts=f"{folder}/mlruns", recommend=False)
    task.fn(result, params, Store(folder, trial))
    client = MlflowClient(params.uri, params.uri)
    return client, client.get_experiment_by_name(DATA).experiment_id


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("candidates")
    for store in (Store(folder), Store(folder, TRIAL)):
        write_json(store.ranking, {})
        write_text(store.scores, "")
        write_text(store.reports / "index.html", "")
    return folder


def models(client: Any, experiment: str) -> dict[str, Any]:
    found = client.search_logged_models([experiment])
    assert len({model.tags["model"] for model in found}) == len(found)
    return {model.tags["model"]: model for model in found}


def in_view(client: Any, experiment: str, view: str = VIEW) -> list[str]:
    """Return the models that a saved view shows, in its order."""
    state = json.loads(json.loads(client.get_experiment(experiment).tags[view])["state"])
    order = f"{state['orderByKey']} {'ASC' if state['orderByAsc'] else 'DESC'}"
    return [run.data.tags["model"] for run in client.search_runs([experiment], state["searchFilter"], order_by=[order])]


def test_a_ranked_candidate_is_a_logged_model_with_metrics_of_the_data_set(folder: Path) -> None:
    result = ranking()
    data = result.data_sets[0]
    first, second, failed = data.rows
    client, experiment = track(folder, result)
    own = models(client, experiment)
    assert set(own) == {first.model, second.model}
    assert failed.failures
    model = own[first.model]
    assert model.status == "READY"
    assert first.facts
    assert model.params["params_m"] == str(round(first.facts.parameters / 1e6, 3))
    linked = {metric.key: metric for metric in model.metrics}
    assert linked[data.rank_by].value == first.scores[data.rank_by].value
    assert {*first.scores, f"{data.rank_by}/low", f"{data.rank_by}/high"} == {
        name for name, metric in linked.items() if (metric.dataset_name, metric.dataset_digest) == (DATA, data.hash[:12])
    }
    run = client.get_run(model.source_run_id)
    assert [output.model_id for output in run.outputs.model_outputs] == [model.model_id]
    assert [(own.dataset.name, own.dataset.digest) for own in run.inputs.dataset_inputs] == [(DATA, data.hash[:12])]
    assert {"mlflow.user", "mlflow.source.name", "mlflow.source.type"} <= run.data.tags.keys()


def test_the_saved_view_shows_every_candidate_once_and_is_written_only_when_it_changes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = ranking()
    first, second, failed = result.data_sets[0].rows
    client, experiment = track(folder, result)
    assert in_view(client, experiment) == [first.model, second.model, failed.model]
    state = json.loads(json.loads(client.get_experiment(experiment).tags[VIEW])["state"])
    parallel, *scatter = state["compareRunCharts"]
    assert set(parallel["selectedMetrics"]) == set(first.scores)
    assert [chart["xaxis"]["key"] for chart in scatter] == ["latency_ms", "params_m"]
    assert set(parallel["selectedMetrics"]) <= {key.strip("`") for key in _names(state["selectedColumns"])}

    written: list[str] = []
    monkeypatch.setattr("mlflow.MlflowClient.set_experiment_tag", lambda *_: written.append("tag"))
    track(folder, result)
    assert written == []


def _names(columns: list[str]) -> list[str]:
    return [column.partition(".")[2] for column in columns]


def test_a_description_that_the_user_wrote_stays(folder: Path) -> None:
    client, experiment = track(folder, ranking())
    assert client.get_experiment(experiment).tags["mlflow.note.content"].startswith(f"For {DATA}, ")
    client.set_experiment_tag(experiment, "mlflow.note.content", "my words")
    track(folder, ranking(*ranking().data_sets[0].rows[1:]))
    assert client.get_experiment(experiment).tags["mlflow.note.content"] == "my words"


def test_what_changed_what_was_deleted_and_what_left_is_shown_once(folder: Path) -> None:
    first, second, _ = ranking().data_sets[0].rows
    client, experiment = track(folder, ranking())
    before = models(client, experiment)
    client.delete_logged_model(before[first.model].model_id)
    assert second.speed
    faster = replace(second, speed=replace(second.speed, latency_ms=second.speed.latency_ms / 2))
    track(folder, ranking(first, faster))
    after = models(client, experiment)
    assert set(after) == {first.model, second.model}
    assert not {model.model_id for model in before.values()} & {model.model_id for model in after.values()}
    assert in_view(client, experiment) == [first.model, second.model]
    old = client.get_run(before[second.model].source_run_id)
    assert (old.info.lifecycle_stage, old.data.tags["status"]) == ("active", "superseded")


def test_an_interrupted_attempt_leaves_no_logged_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client, experiment = track(folder, ranking())
    rows = ranking().data_sets[0].rows
    changed = ranking(*(replace(row, weights="other") for row in rows))
    with monkeypatch.context() as patch:
        patch.setattr("tasks.track.ranking.describe_experiment", _interrupt)
        with pytest.raises(StoreError):
            track(folder, changed)
    state = read_tracked(Store(folder))
    assert state
    assert state.attempt
    track(folder, ranking())  # as it was before
    assert {model.tags["weights"] for model in models(client, experiment).values()} == {row.weights for row in rows[:2]}
    assert sorted(in_view(client, experiment)) == sorted(row.model for row in rows)


def test_a_trial_has_its_own_view_and_marks_no_run_of_another_ranking(folder: Path) -> None:
    first, second, failed = ranking().data_sets[0].rows
    client, experiment = track(folder, ranking())
    client.set_experiment_tag(experiment, "mlflow.note.content", "")  # another test wrote a note
    track(folder, ranking(first, second), TRIAL)
    assert in_view(client, experiment) == [first.model, second.model, failed.model]
    assert in_view(client, experiment, f"{VIEW}-{TRIAL}") == [first.model, second.model]
    experiment_tags = client.get_experiment(experiment).tags
    assert f"viewStateShareKey=candidates-{TRIAL})" in experiment_tags["mlflow.note.content"]
    assert json.loads(experiment_tags[f"{VIEW}-{TRIAL}"])["name"] == f"Comparison of candidates of {TRIAL}"
    own = client.search_logged_models([experiment], f"tags.ranking = '{TRIAL}'")
    assert {model.name.removesuffix(f" ({TRIAL})") for model in own} == {
        name.replace(".", "-") for name in (first.model, second.model)
    }
    others = client.search_logged_models([experiment], "tags.ranking = 'params.yaml'")
    assert not [model.name for model in others if TRIAL in model.name]

    faster = replace(second, speed=replace(second.speed, latency_ms=1.0) if second.speed else None)
    track(folder, ranking(first, faster), TRIAL)
    assert in_view(client, experiment, f"{VIEW}-{TRIAL}") == [first.model, second.model]
    assert in_view(client, experiment) == [first.model, second.model, failed.model]
    assert len(client.search_logged_models([experiment])) == 4


def _interrupt(*_: object) -> None:
    raise OSError("the disk is full")
