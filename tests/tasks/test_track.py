"""What a ranking looks like in a real MLflow database."""

import json
import logging
import shutil
import subprocess
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path

import pytest

from itm.core.errors import StoreError
from itm.core.params import Params, TrackParams
from itm.core.rankings import Ranking
from itm.core.yaml_records import parse
from itm.run import pipeline
from itm.store.layout import Store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Params, Ranking]:
    """Rank two models and one that does not exist, and log the ranking twice."""
    from tasks.track.ranking import track

    folder = tmp_path_factory.mktemp("tracked")
    zoo = Path(__file__).parents[2] / "data" / "zoo" / "zoo.yaml"
    values = {
        "data": {"sets": ["synthetic:shapes?images=60"]},
        "zoo": {"file": zoo, "models": ["test_resnet.drawn_long", "test_efficientnet.textures", "test_resnet.nowhere"]},
        "score": {"names": ["itm", "logme"]},
        "store": folder,
    }
    params = parse(values, Params, "test")
    ranking = pipeline.run(params, Store(folder))
    for _ in range(2):
        track.fn(ranking, params.tracking, Store(folder))
    return params, ranking


def runs(params: Params):  # type: ignore[no-untyped-def]
    """Return the client, the parent runs (oldest first) and the child runs of all of them."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=params.tracking.uri, registry_uri=params.tracking.uri)
    (experiment,) = [e for e in client.search_experiments() if e.name.startswith("shapes")]
    found = list(client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"]))
    parents = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in found if "mlflow.parentRunId" in run.data.tags]
    return client, parents, children


def test_a_parent_run_a_ranking_and_a_child_run_a_model(tracked: tuple[Params, Ranking]) -> None:
    params, ranking = tracked
    _, parents, children = runs(params)
    (parent,) = parents  # the second time, nothing had changed
    assert "ranked_again" in parent.data.tags
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    best = ranking.data_sets[0].rows[0]
    assert best.estimate is not None
    assert parent.data.tags["best_model"] == best.model
    assert parent.data.metrics["best_score"] == best.estimate.value
    assert f"| 1 | {best.model} | " in parent.data.tags["mlflow.note.content"]
    assert len(children) == len(ranking.data_sets[0].rows)
    by_model = {run.data.tags["model"]: run for run in children}
    first = ranking.data_sets[0].rows[0]
    assert set(by_model) == {row.model for row in ranking.data_sets[0].rows}
    assert by_model[first.model].data.metrics["itm"] == first.scores["itm"].value
    assert by_model[first.model].data.metrics["logme/low"] == first.scores["logme"].low
    assert by_model[first.model].data.metrics["logme/standard_error"] == first.scores["logme"].standard_error
    named = {"family", "pretraining", "params_m", "gmacs", "width", "image_size", "speed_device"}
    assert set(by_model[first.model].data.params) == named
    assert {"latency_ms", "images_per_second", "memory_mb", "finetune_memory_mb"} <= by_model[first.model].data.metrics.keys()
    assert by_model[first.model].data.tags["weights"] == first.weights


def test_a_score_is_logged_with_what_it_is_made_of(tracked: tuple[Params, Ranking], tmp_path: Path) -> None:
    params, ranking = tracked
    client, parents, children = runs(params)
    first = ranking.data_sets[0].rows[0]
    (metrics,) = [run.data.metrics for run in children if run.data.tags["model"] == first.model]
    details = {name.removeprefix("itm/"): value for name, value in metrics.items() if name.startswith("itm/")}
    scored = first.scores["itm"]
    assert details == {"low": scored.low, "high": scored.high, "standard_error": scored.standard_error} | scored.details
    assert {"accuracy", "balanced_accuracy", "control", "baseline"} <= set(details)
    assert {name for name in metrics if name.startswith("logme/")} == {"logme/low", "logme/high", "logme/standard_error"}
    table = json.loads(Path(client.download_artifacts(parents[0].info.run_id, "ranking_table.json", str(tmp_path))).read_text())
    errors = [row[table["columns"].index("standard_error")] for row in table["data"]]
    expected = [row.estimate.standard_error for row in ranking.data_sets[0].rows if row.estimate]
    assert errors == [*(pytest.approx(error) for error in expected), None]  # the table keeps ten digits


def test_a_failed_model_is_a_failed_run_with_its_reason(tracked: tuple[Params, Ranking]) -> None:
    _, _, children = runs(tracked[0])
    (failed,) = [run for run in children if run.info.status == "FAILED"]
    assert failed.data.tags["model"] == "test_resnet.nowhere"
    assert "did you mean 'test_resnet.drawn_long'" in failed.data.tags["failure"]


def test_the_parent_keeps_page_table_figures_and_lineage(tracked: tuple[Params, Ranking]) -> None:
    client, parents, _ = runs(tracked[0])
    kept = {artifact.path for artifact in client.list_artifacts(parents[0].info.run_id)}
    assert {"ranking.json", "scores.parquet", "index.html", "ranking_table.json"} <= kept
    assert {"score_bars.png", "score_against_cost.png"} <= kept
    assert parents[0].data.tags["data_hash"] == tracked[1].data_sets[0].hash
    assert len(parents[0].data.tags["code_commit"]) >= 7


def test_the_alias_recommended_points_at_the_winner_once(tracked: tuple[Params, Ranking]) -> None:
    params, ranking = tracked
    client, _, _ = runs(params)
    (registered,) = client.search_registered_models()
    version = client.get_model_version_by_alias(registered.name, "recommended")
    first = ranking.data_sets[0].rows[0]
    assert (version.tags["model"], version.tags["weights"]) == (first.model, first.weights)
    assert len(client.search_model_versions(f"name = '{registered.name}'")) == 1


def test_a_partial_ranking_does_not_move_the_alias(tracked: tuple[Params, Ranking]) -> None:
    from tasks.track.ranking import track

    params, ranking = tracked
    data = ranking.data_sets[0]
    loser = replace(data.rows[1], rank=1, tie_group=1)
    partial = replace(ranking, data_sets=(replace(data, rows=(loser,)),))
    track.fn(partial, params.tracking.model_copy(update={"recommend": False}), Store(params.store))
    client, _, _ = runs(params)
    (registered,) = client.search_registered_models()
    assert client.get_model_version_by_alias(registered.name, "recommended").tags["model"] == data.rows[0].model


def test_only_models_whose_numbers_changed_are_logged_again(tracked: tuple[Params, Ranking], tmp_path: Path) -> None:
    from mlflow import MlflowClient

    from tasks.track.ranking import track

    _, ranking = tracked
    params, store = TrackParams(uri=f"sqlite:///{tmp_path}/a.db", artifacts=f"{tmp_path}/runs"), Store(tmp_path)
    shutil.copytree(tracked[0].store / "scores", tmp_path / "scores")
    shutil.copytree(tracked[0].store / "reports", tmp_path / "reports")
    data = ranking.data_sets[0]
    first, second, *rest = data.rows
    assert second.estimate is not None
    other = replace(second, estimate=replace(second.estimate, value=second.estimate.value - 1e-6))
    changed = replace(ranking, data_sets=(replace(data, rows=(first, other, *rest)),))
    (before,), (after,) = track.fn(ranking, params, store), track.fn(changed, params, store)
    assert _children(params, before) == {row.model for row in data.rows}
    assert _children(params, after) == {second.model}
    MlflowClient(params.uri, params.uri).delete_run(after)
    (again,) = track.fn(changed, params, store)
    assert _children(params, again) == {row.model for row in data.rows}


def test_a_ranking_that_was_told_by_half_is_taken_back_before_it_is_told_again(
    tracked: tuple[Params, Ranking], tmp_path: Path
) -> None:
    from tasks.track.ranking import track

    params, store = TrackParams(uri=f"sqlite:///{tmp_path}/a.db", artifacts=f"{tmp_path}/runs"), Store(tmp_path)
    shutil.copytree(tracked[0].store / "scores", tmp_path / "scores")
    shutil.copytree(tracked[0].store / "reports", tmp_path / "reports")
    with pytest.raises(StoreError, match="nowhere"):
        track.fn(tracked[1], params, store, [tmp_path / "nowhere.html"])
    told = Params(track=params, store=tmp_path)
    _, (half,), children = runs(told)
    assert (half.info.status, len(children)) == ("RUNNING", 3)
    (parent,) = track.fn(tracked[1], params, store)
    _, (whole,), children = runs(told)
    assert (whole.info.run_id, whole.info.status, len(children)) == (parent, "FINISHED", 3)
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent}


def _children(params: TrackParams, parent: str) -> set[str]:
    from mlflow import MlflowClient

    client = MlflowClient(params.uri, params.uri)
    found = client.search_runs([client.get_run(parent).info.experiment_id], f"tags.mlflow.parentRunId = '{parent}'")
    return {run.data.tags["model"] for run in found}


def test_two_first_rankings_at_once_are_both_kept(tmp_path: Path) -> None:
    from tasks.track.databases import create_tables

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    command = "import sys; from tasks.track.databases import create_tables; create_tables(sys.argv[1])"
    both = [subprocess.Popen([sys.executable, "-c", command, uri]) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    before = (tmp_path / "mlflow.db").stat().st_ino
    create_tables(uri)
    assert (tmp_path / "mlflow.db").stat().st_ino == before


def test_a_server_that_is_down_is_told_in_seconds_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.track.client import open_client

    monkeypatch.setenv("ITM_TRACKING", "http://us:downp%40ss@127.0.0.1:1")
    start = time.perf_counter()
    with (
        pytest.raises(StoreError, match=r"store \$ITM_TRACKING cannot be used: it does not answer") as caught,
        open_client(TrackParams(uri="$ITM_TRACKING")) as client,
    ):
        client.search_experiments()
    assert time.perf_counter() - start < 60  # as MLflow comes it is minutes
    told = "".join(traceback.format_exception(caught.value))
    assert not any(part in told for part in ("downp%40ss", "downp@ss", "us:"))


def test_artifacts_may_not_carry_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.track.client import get_experiment, open_client

    monkeypatch.setenv("ITM_ARTIFACTS", "ftp://me:fil3s@127.0.0.1/runs")
    params = TrackParams(uri=f"sqlite:///{tmp_path}/mlflow.db", artifacts="$ITM_ARTIFACTS")
    with pytest.raises(StoreError, match="artifacts contains a password"), open_client(params) as client:
        get_experiment(client, "shapes", params)
    assert b"fil3s" not in (tmp_path / "mlflow.db").read_bytes()


def test_mlflows_own_warnings_are_discreet(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    import tasks.track.client  # noqa: F401  (whoever opens MLflow has this)
    from itm.core.secrets import reveal

    monkeypatch.setenv("ITM_WORD", "w4rned-of")
    reveal("$ITM_WORD")
    logging.getLogger("mlflow.store.db.utils").warning("no engine for %s", "w4rned-of")
    printed = capfd.readouterr().err
    assert "no engine for ***" in printed
    assert "w4rned-of" not in printed
