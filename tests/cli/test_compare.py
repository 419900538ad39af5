"""`itm compare`: the candidates of a data set, and what changed since a date."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from click.testing import Result

from itm.finetuning.table import SCHEMA
from itm.ranking.recommend import update_recommended
from itm.refresh.history import write_refresh
from itm.store.files import write_table
from itm.store.layout import Store
from itm.store.ranking_file import write_ranking
from itm.store.tracked_file import Tracked, TrackedState, write_tracked
from tests.refresh.rankings import rank, refresh

pytestmark = pytest.mark.slow

THEN = {"a": 0.9, "b": 0.8, "gone": 0.7}
NOW = {"a": 0.8, "b": 0.95, "new": 0.85, "broken": "out of memory"}


@pytest.fixture
def store(project: Callable[..., Path]) -> Store:
    """Return a store with the ranking of two data sets, and a refresh of 2 March that ranked one of them in another way."""
    store = Store(project() / "kept")
    ranking = rank(NOW, {"a": 0.5})
    write_ranking(ranking, pl.DataFrame({"data": ["petals"]}), store)
    update_recommended(ranking, store, within_noise=False)
    write_refresh(refresh(rank(THEN)), store)
    return store


def table(printed: str) -> dict[str, list[str]]:
    """Return the cells of each model."""
    rows = [line.split() for line in printed.splitlines()]
    return {row[1]: row for row in rows if len(row) > 3 and (row[0].isdigit() or row[0] == "-")}


def test_candidates_have_scores_costs_and_accuracies_after_fine_tuning(call: Callable[..., Result], store: Store) -> None:
    data = rank(NOW).data_sets[0]
    run = {"data": "petals", "data_hash": data.hash, "protocol": "full", "status": "ok"}
    runs = [
        run | {"model": "a", "weights": "weights of a", "seed": 0, "test_accuracy": 0.9},
        run | {"model": "a", "weights": "weights of a", "seed": 1, "test_accuracy": 0.8},
        run | {"model": "a", "weights": "weights of a", "seed": 0, "test_accuracy": 0.1, "protocol": "head"},
        run | {"model": "b", "weights": "other weights", "seed": 0, "test_accuracy": 0.7},
        run | {"model": "new", "weights": "weights of new", "seed": 0, "test_accuracy": 0.6, "data_hash": "other images"},
    ]
    write_table(store.finetuned, pl.DataFrame(runs, schema=SCHEMA))
    printed = call("compare", "petals").output
    found = table(printed)
    assert list(found) == ["b", "new", "a", "broken"]
    assert "fine-tuned" in printed
    assert "85.0 %" in " ".join(found["a"])
    assert "%" not in " ".join(found["b"] + found["new"])
    assert "out of memory" in printed
    assert "For petals, " in printed


@pytest.mark.usefixtures("store")
def test_since_a_date_shows_what_changed(call: Callable[..., Result]) -> None:
    printed = call("compare", "petals", "--since", "2026-03-15").output
    found = table(printed)
    assert "# then" in printed
    assert [found[model][5:7] for model in ("b", "new", "a")] == [["2", "0.800"], ["-", "-"], ["1", "0.900"]]
    after = printed.partition("Since refresh 1 (2026-03-02 02:00 UTC):")[2]
    assert "b is now first." in after
    assert "New: new (rank 2)" in after
    assert "Gone: gone" in after


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["petls"], "no ranking has the data set 'petls'; did you mean 'petals'? Run `itm rank` with it first. Ranked so far"),
        (["petals", "--since", "last week"], "--since: 'last week' is no date; write it as 2026-11-30"),
        (
            ["petals", "--since", "2026-03-01"],
            "petals: no refresh ranked it before 2026-03-01 00:00; the first one began at 2026",
        ),
        (
            ["leaves", "--since", "2026-03-15"],
            "leaves: no refresh has ranked it, so there is no history; `itm refresh` records",
        ),
    ],
    ids=["name", "date", "early", "no history"],
)
def test_what_cannot_be_compared_is_one_line(call: Callable[..., Result], arguments: list[str], message: str) -> None:
    assert message in call("compare", *arguments, status=2).output


def test_a_damaged_ranking_is_passed_over(call: Callable[..., Result], store: Store) -> None:
    store.ranking.write_text("{")
    other = replace(store, ranking_name="other")
    write_ranking(rank(NOW), pl.DataFrame({"data": ["petals"]}), other)
    assert "b" in table(call("compare", "petals").output)


@pytest.mark.usefixtures("store")
def test_one_unknown_data_set_does_not_stop_the_others(call: Callable[..., Result]) -> None:
    printed = call("compare", "nowhere", "leaves", status=2).output
    assert "For leaves, " in printed
    assert "'nowhere'" in printed


@pytest.mark.parametrize(
    ("uri", "server", "heading"),
    [
        ("sqlite:///kept/mlflow.db", "http://127.0.0.1:5000", "compare in MLflow, after `python -m tasks.track.ui`:"),
        ("https://mlflow.example.org/", "https://mlflow.example.org", "compare in MLflow:"),
        ("$ITM_TEST_MLFLOW", "https://mlflow.example.org/ml", "compare in MLflow:"),
    ],
    ids=["database", "server", "variable"],
)
def test_a_tracked_ranking_has_a_link_to_mlflow(
    call: Callable[..., Result], store: Store, monkeypatch: pytest.MonkeyPatch, uri: str, server: str, heading: str
) -> None:
    monkeypatch.setenv("ITM_TEST_MLFLOW", "https://me:pa@ssw0rd@mlflow.example.org/ml")
    assert "MLflow" not in call("show").output
    write_tracked(TrackedState(uri, {"petals": Tracked("run", "key", {}, "7")}), store)
    lines = call("show").output.splitlines()
    assert lines[-2] == heading
    assert lines[-1].startswith(f"  petals: {server}/#/experiments/7/runs?workflowType=machine_learning&")


@pytest.mark.parametrize("uri", ["$ITM_TEST_MLFLOW", "secret:mlflow"])
def test_without_its_address_the_command_that_prints_the_links_is_named(
    call: Callable[..., Result], store: Store, uri: str
) -> None:
    write_tracked(TrackedState(uri, {"petals": Tracked("run", "key", {}, "7")}), store)
    assert call("show").output.splitlines()[-1] == "compare in MLflow: `python -m tasks.track.ui` prints the links"
