"""What a ranking looks like in a real MLflow database."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from itm import pipeline
from itm.params import Params
from itm.store import Store
from itm.types import Ranking
from itm.yaml_records import parse

pytestmark = [pytest.mark.xdist_group("prefect"), pytest.mark.slow]


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Params, Ranking]:
    """Rank two models and one that does not exist, and log the ranking twice."""
    from tasks.track.ranking import log_ranking

    folder = tmp_path_factory.mktemp("tracked")
    zoo = Path(__file__).parents[2] / "data" / "zoo" / "zoo.yaml"
    values = {
        "data": {"sets": ["made:shapes?images=60"]},
        "zoo": {"file": zoo, "models": ["test_resnet.drawn_long", "test_efficientnet.textures", "test_resnet.nowhere"]},
        "score": {"names": ["itm", "logme"]},
        "store": folder,
    }
    params = parse(values, Params, "test")
    ranking = pipeline.run(params, Store(folder))
    for _ in range(2):
        log_ranking(ranking, params.tracking, Store(folder))
    return params, ranking


def runs(params: Params):  # type: ignore[no-untyped-def]
    """Return the client, the parent runs (newest first) and the child runs of the newest."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=params.tracking.uri, registry_uri=params.tracking.uri)
    (experiment,) = [e for e in client.search_experiments() if e.name.startswith("shapes")]
    found = list(client.search_runs([experiment.experiment_id], order_by=["attributes.start_time DESC"]))
    parents = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in found if run.data.tags.get("mlflow.parentRunId") == parents[0].info.run_id]
    return client, parents, children


def test_a_parent_run_a_ranking_and_a_child_run_a_model(tracked: tuple[Params, Ranking]) -> None:
    """Two rankings are two parent runs, each with its models as children, scores as metrics and facts as params."""
    params, ranking = tracked
    _, parents, children = runs(params)
    assert len(parents) == 2
    by_model = {run.data.tags["model"]: run for run in children}
    first = ranking.data_sets[0].rows[0]
    assert set(by_model) == {row.model for row in ranking.data_sets[0].rows}
    assert by_model[first.model].data.metrics["itm"] == first.scores["itm"].value
    assert by_model[first.model].data.metrics["logme/low"] == first.scores["logme"].low
    assert by_model[first.model].data.metrics["logme/standard_error"] == first.scores["logme"].standard_error
    assert set(by_model[first.model].data.params) == {"family", "pretraining", "params_m", "gmacs", "width", "image_size"}
    assert by_model[first.model].data.tags["weights"] == first.weights


def test_a_score_is_logged_with_what_it_is_made_of(tracked: tuple[Params, Ranking], tmp_path: Path) -> None:
    """Details are metrics below their score; a score without any has none, and the table holds the standard error."""
    params, ranking = tracked
    client, parents, children = runs(params)
    first = ranking.data_sets[0].rows[0]
    (metrics,) = [run.data.metrics for run in children if run.data.tags["model"] == first.model]
    details = {name.removeprefix("itm/"): value for name, value in metrics.items() if name.startswith("itm/")}
    scored = first.scores["itm"]
    assert details == {"low": scored.low, "high": scored.high, "standard_error": scored.standard_error} | scored.details
    assert {"accuracy", "balanced_accuracy", "control", "majority_rate"} <= set(details)
    assert {name for name in metrics if name.startswith("logme/")} == {"logme/low", "logme/high", "logme/standard_error"}
    table = json.loads(Path(client.download_artifacts(parents[0].info.run_id, "ranking_table.json", str(tmp_path))).read_text())
    errors = [row[table["columns"].index("standard_error")] for row in table["data"]]
    expected = [row.estimate.standard_error for row in ranking.data_sets[0].rows if row.estimate]
    assert errors == [*(pytest.approx(error) for error in expected), None]  # the table keeps ten digits


def test_a_failed_model_is_a_failed_run_with_its_reason(tracked: tuple[Params, Ranking]) -> None:
    """The model that does not exist is there as a failed child run that says why."""
    _, _, children = runs(tracked[0])
    (failed,) = [run for run in children if run.info.status == "FAILED"]
    assert failed.data.tags["model"] == "test_resnet.nowhere"
    assert "did you mean 'test_resnet.drawn_long'" in failed.data.tags["failure"]


def test_the_parent_keeps_page_table_figures_and_lineage(tracked: tuple[Params, Ranking]) -> None:
    """All that is needed to look at a ranking again hangs on its parent run."""
    client, parents, _ = runs(tracked[0])
    kept = {artifact.path for artifact in client.list_artifacts(parents[0].info.run_id)}
    assert {"ranking.json", "scores.parquet", "index.html", "ranking_table.json"} <= kept
    assert {"score_bars.png", "score_against_cost.png"} <= kept
    assert parents[0].data.tags["data_hash"] == tracked[1].data_sets[0].hash
    assert len(parents[0].data.tags["code_commit"]) >= 7


def test_the_alias_recommended_points_at_the_winner_once(tracked: tuple[Params, Ranking]) -> None:
    """The registered model's alias names the winner and its weights, and an unchanged winner adds no version."""
    params, ranking = tracked
    client, _, _ = runs(params)
    (registered,) = client.search_registered_models()
    version = client.get_model_version_by_alias(registered.name, "recommended")
    first = ranking.data_sets[0].rows[0]
    assert (version.tags["model"], version.tags["weights"]) == (first.model, first.weights)
    assert len(client.search_model_versions(f"name = '{registered.name}'")) == 1


def test_a_partial_ranking_does_not_move_the_alias(tracked: tuple[Params, Ranking]) -> None:
    """A ranking of some models only, logged with `recommend` off, leaves the alias on the winner of the whole zoo."""
    from tasks.track.ranking import log_ranking

    params, ranking = tracked
    data = ranking.data_sets[0]
    loser = replace(data.rows[1], rank=1, tie_group=1)
    partial = replace(ranking, data_sets=(replace(data, rows=(loser,)),))
    log_ranking(partial, params.tracking.model_copy(update={"recommend": False}), Store(params.store))
    client, _, _ = runs(params)
    (registered,) = client.search_registered_models()
    assert client.get_model_version_by_alias(registered.name, "recommended").tags["model"] == data.rows[0].model


def test_two_first_rankings_at_once_are_both_kept(tmp_path: Path) -> None:
    """Two processes that make the same new database end with one that both can use."""
    command = (
        "import sys; from pathlib import Path; from tasks.track.client import _make_database; _make_database(Path(sys.argv[1]))"
    )
    both = [subprocess.Popen([sys.executable, "-c", command, str(tmp_path / "mlflow.db")]) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    before = (tmp_path / "mlflow.db").stat().st_ino
    subprocess.run([sys.executable, "-c", command, str(tmp_path / "mlflow.db")], check=True)
    assert (tmp_path / "mlflow.db").stat().st_ino == before
