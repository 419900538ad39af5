"""Many pairs: failures are rows, the table says where full fine-tuning lost, and the commands print what was found."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import yaml

from itm.core.errors import ParamsError
from itm.core.params import Params
from itm.core.types import Outcome
from itm.core.yaml_records import parse
from itm.finetuning import pairs
from itm.finetuning.confirm import params_of_first
from itm.finetuning.table import below_head, means, runs_table
from itm.store.files import read_json, read_table
from itm.store.layout import Store
from tests.finetuning.records import a_ranking, a_run

LONG, SHORT = "test_resnet.drawn_long", "test_resnet.drawn_short"
SOURCE = "synthetic:shapes?images=60"
NAME = "shapes-images60"
RECIPE = {"steps": 4, "seeds": 2, "evaluations": 1, "learning_rates": [1e-4, 1e-2]}

pytestmark = [pytest.mark.usefixtures("own_logger"), pytest.mark.slow]


@pytest.fixture
def here(project: Callable[..., Path], zoo_file: Path) -> Path:
    """Stand in a folder with a small fine-tuning."""
    return project(data={"sets": [SOURCE]}, zoo={"file": str(zoo_file), "models": [LONG, SHORT]}, finetune=RECIPE)


def test_failures_are_rows_and_stop_nothing(here):
    values = yaml.safe_load((here / "params.yaml").read_text())
    values["zoo"]["models"] = [SHORT, "test_resnet.nowhere"]
    values["data"] = {"sets": [SOURCE, "folder:nowhere"]}
    values["finetune"] = RECIPE | {"protocols": ["head"]}
    store = Store(here / "kept")
    finetuned, confirmed = pairs.run(parse(values, Params, "test"), store)
    assert confirmed == ()
    table = read_table(store.finetuned)
    assert table.equals(runs_table(finetuned))
    ok, failed = table.filter(status="ok"), table.filter(status="failed")
    assert ok.select("data", "model", "protocol", "seed").rows() == [(NAME, SHORT, "head", 0), (NAME, SHORT, "head", 1)]
    assert failed["model"].to_list() == ["", "test_resnet.nowhere"]
    assert all(reason.startswith(("ingest: ", "zoo: ")) for reason in failed["reason"])
    assert ok["test_accuracy"].is_between(0, 1).all()
    values["data"] = {"sets": [SOURCE], "splits": {"train": 0.8, "val": 0.2}}
    (nowhere, without_test), _ = pairs.run(parse(values, Params, "test"), store)
    assert [pair.failures[0].step for pair in (nowhere, without_test)] == ["zoo", "finetune"]
    assert "has no test images" in without_test.reason


def test_below_head_counts_pairs_that_lost_more_than_a_point():
    runs = [
        *(a_run("lost", "full", 0.9, test, seed) for seed, test in enumerate((0.90, 0.92))),
        a_run("lost", "head", 0.9, 0.95),
        a_run("even", "full", 0.9, 0.94),
        a_run("even", "head", 0.9, 0.95),
        a_run("alone", "full", 0.9, 0.1),
    ]
    table = runs_table([Outcome(run.data, run.model, runs=(run,)) for run in runs])
    found = below_head(table)
    assert found.select("model", "below").rows() == [("lost", True), ("even", False)]
    assert found["lost"].to_list() == pytest.approx([0.04, 0.01])
    assert means(table).filter(model="lost", protocol="full")["test_each"].to_list() == [[0.90, 0.92]]
    assert below_head(runs_table([])).is_empty()


def test_there_must_be_something_to_confirm():
    with pytest.raises(ParamsError, match="--confirm is 0"):
        params_of_first(Params(), a_ranking("a"), 0)
    with pytest.raises(ParamsError, match="no model is ranked"):
        params_of_first(Params(), a_ranking(), 3)
    chosen = params_of_first(parse({"finetune": {"protocols": ["head"]}}, Params, "test"), a_ranking("a", "b", "c"), 2)
    assert (chosen.zoo.models, chosen.finetune.protocols) == (("a", "b"), ("full", "head"))


@pytest.mark.servers
def test_the_command_prints_a_line_a_pair_and_the_means(call, here):
    printed = call("finetune", "--protocol", "head", "--seeds", "1")
    assert f"{SHORT} on {NAME}: head " in printed.stderr
    assert "runs: kept/finetuned/runs.parquet" in printed.stdout
    assert all(word in printed.stdout for word in (NAME, LONG, SHORT, "head", "learning rate"))
    assert call("finetune", "--protocol", "head", "--seeds", "1", "--resume", "only-cache").stderr.count("(cached)") == 2
    failing = call("finetune", "--protocol", "head", "-m", SHORT, "-m", "test_resnett", "--resume", "only-missing", status=1)
    assert "test_resnett on shapes-images60: failed at zoo: " in failing.stdout
    misspelled = call("finetune", "--protocol", "ful", status=2)
    known = "'full', 'head', 'lora', 'norm' or 'last_block'"
    assert misspelled.stderr == f"error: --protocol: must be {known} (got 'ful'); did you mean 'full'?\n"
    assert read_table(Store(here / "kept").finetuned).filter(pl.col("status") != "ok").is_empty()


@pytest.mark.servers
def test_rank_confirms_its_first(call, here):
    printed = call("rank", "--confirm", "2")
    assert printed.stdout.index("page: kept/reports/index.html") < printed.stdout.index("fine-tuned")
    store = Store(here / "kept")
    (found,) = read_json(store.confirmed)["data_sets"]
    assert [row["rank"] for row in found["candidates"]] == [1, 2]
    assert all(row["seeds"] == 2 and row["head_test"] is not None for row in found["candidates"])
    best = max(found["candidates"], key=lambda row: (row["val"]["value"], -row["rank"]))
    assert found["leader"] == best["model"]
    assert set(read_table(store.finetuned)["protocol"]) == {"full", "head"}
    assert "--steps is an option of fine-tuning; add --confirm N" in call("rank", "--steps", "2", status=2).stderr
    assert "--seeds: must be greater" in call("rank", "--confirm", "1", "--seeds", "0", status=2).stderr
    call("rank", "--confirm", "1", "--seeds", "1", "--steps", "2", "--budget", "600")
    (short,) = read_json(store.confirmed)["data_sets"]
    assert [row["seeds"] for row in short["candidates"]] == [1]
    call("rank", "--confirm", "2")
    assert "Invalid value for '--confirm'" in call("rank", "--confirm", "0", status=2).stderr
    page = (store.reports / "index.html").read_text()
    said = printed.stdout.splitlines()[-2]
    assert said.startswith((f"For {NAME}, fine-tuning ", f"Undecided for {NAME}: "))
    assert said in page
    assert said in call("show").stdout
    call("report")
    assert (store.reports / "index.html").read_text() == page
    values = yaml.safe_load((here / "params.yaml").read_text()) | {"score": {"names": ["logme"], "rank_by": "logme"}}
    (here / "params.yaml").write_text(yaml.safe_dump(values))
    call("rank")
    shown = call("show")
    assert "the results of --confirm are of an earlier ranking" in shown.stderr
    assert said not in shown.stdout + (store.reports / "index.html").read_text()
