"""From data sets and a zoo to a ranking: whatever fails is a row with its reason, and nothing else changes for it."""

from pathlib import Path

import polars as pl
import pytest
import torch
import yaml

from itm.core.errors import ParamsError
from itm.core.params import Params
from itm.ranking.intervals import standard_error
from itm.report.page import GENERATOR
from itm.run import pipeline
from itm.store.files import read_table
from itm.store.layout import Store
from itm.store.ranking_file import read_ranking

pytestmark = pytest.mark.slow

LONG, SHORT, TEXTURES = "test_resnet.drawn_long", "test_resnet.drawn_short", "test_efficientnet.textures"
SOURCE = "synthetic:shapes?images=60"
MODELS = """
from torch import nn


class Colour(nn.Linear):
    def forward_features(self, x):
        return x.mean((2, 3))

    def forward_head(self, x, pre_logits=False):
        return self(x)


class Unmoved(Colour):
    def to(self, *args, **kwargs):
        raise MemoryError("not moved")


class Unrun(Colour):
    def forward_features(self, x):
        assert len(x) == 1, "not run"
        return x.mean((2, 3))


def unmade():
    raise SystemError("not made")


def unmoved():
    return Unmoved(3, 2)


def unrun():
    return Unrun(3, 2)
"""


@pytest.fixture
def params(zoo_file: Path, store: Store) -> Params:
    """Return parameters of a small ranking: one data set, two models, two quick scores."""
    return Params.model_validate(
        {
            "data": {"sets": [SOURCE]},
            "zoo": {"file": zoo_file, "models": [LONG, SHORT]},
            "score": {"names": ["knn", "logme"], "rank_by": "knn"},
            "store": store.root,
        }
    )


def _changed(params: Params, section: str, **values: object) -> Params:
    return params.model_copy(update={section: getattr(params, section).model_copy(update=values)})


def test_a_ranking_is_computed_once(params, store, caplog):
    caplog.set_level("INFO", logger="itm")
    ranking = pipeline.run(params, store)
    (data,) = ranking.data_sets
    assert {row.model: row.status for row in data.rows} == {LONG: "ranked", SHORT: "ranked"}
    assert [row.rank for row in data.rows] == [1, 2]
    assert all(set(row.scores) == {"knn", "logme"} and row.facts for row in data.rows)
    assert all(row.scores["knn"].details.keys() >= {"balanced_accuracy", "baseline"} for row in data.rows)
    assert "extracted 2 pairs (0 cached), computed 4 scores (0 cached), no failures" in caplog.text
    scores = store.scores.read_bytes()
    caplog.clear()
    again = pipeline.run(params, store)
    assert "extracted 0 pairs (2 cached), computed 0 scores (4 cached), no failures" in caplog.text
    assert again == ranking == read_ranking(store)
    assert store.scores.read_bytes() == scores
    assert (store.reports / "index.html").is_file()


def test_other_folds_score_again_and_extract_nothing(params, store, caplog):
    caplog.set_level("INFO", logger="itm")
    first = pipeline.run(params, store).data_sets[0].rows[0]
    caplog.clear()
    second = pipeline.run(_changed(params, "score", folds=3), store).data_sets[0].rows[0]
    assert "extracted 0 pairs (2 cached), computed 4 scores (0 cached)" in caplog.text
    assert (len(first.estimate.fold_values), len(second.estimate.fold_values)) == (5, 3)
    error = standard_error("held_out", second.estimate.fold_values, 0.5)
    assert second.estimate.standard_error == error
    values = read_table(store.scores).filter(pl.col("fold").is_null(), model=second.model, score="knn")
    assert values["standard_error"].to_list() == [error]


def test_adding_and_removing_a_model_computes_only_what_is_new(params, store, caplog):
    caplog.set_level("INFO", logger="itm")
    before = pipeline.run(params, store)
    caplog.clear()
    more = pipeline.run(_changed(params, "zoo", models=(LONG, SHORT, TEXTURES)), store)
    assert "extracted 1 pair (2 cached), computed 2 scores (4 cached)" in caplog.text
    assert {row.model for row in more.data_sets[0].rows} == {LONG, SHORT, TEXTURES}
    less = pipeline.run(_changed(params, "zoo", models=(SHORT,)), store)
    assert [row.model for row in less.data_sets[0].rows] == [SHORT]
    assert set(read_table(store.scores)["model"]) == {SHORT}
    kept = {row.model: row.scores for row in before.data_sets[0].rows}
    assert all(row.scores == kept[row.model] for row in (*more.data_sets[0].rows, *less.data_sets[0].rows) if row.model in kept)


@pytest.mark.parametrize(
    "sets", [[SOURCE, SOURCE], ["shapes-images60=digits", SOURCE], ["x=digits", SOURCE, "x=synthetic:textures"]]
)
def test_two_data_sets_of_one_name_are_refused_before_any_work(params, store, sets):
    with pytest.raises(ParamsError, match=r"are both named '(shapes-images60|x)'; leave one out or write NAME=SOURCE"):
        pipeline.run(_changed(params, "data", sets=tuple(sets)), store)
    assert not store.root.exists()


def test_a_page_of_an_older_report_is_written_again(params, store):
    pipeline.run(params, store)
    page = store.reports / "index.html"
    current = page.read_text()
    older = current.replace(GENERATOR, "itm report 0")
    assert older != current
    page.write_text(older)
    pipeline.run(params, store)
    assert page.read_text() == current


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("data", {"sets": ()}, "no data set is named"),
        ("score", {"names": ("knn", "itn"), "rank_by": "knn"}, "no score 'itn'; did you mean 'itm'"),
        ("score", {"options": {"knn": {"neighbors": 1}}}, "unknown key 'neighbors'; did you mean 'neighbours'"),
        ("zoo", {"file": Path("nowhere.yaml")}, r"nowhere\.yaml: cannot be read"),
        ("extract", {"device": "cuda:9"}, r"extract\.device is 'cuda:9'"),
    ],
)
def test_what_is_wrong_as_a_whole_is_said_before_any_work(params, store, section, values, message):
    with pytest.raises(ParamsError, match=message):
        pipeline.run(_changed(params, section, **values), store)
    assert not store.root.exists()


def test_a_data_set_that_fails_has_every_model_as_a_failed_row(params, store, tmp_path):
    missing = f"folder:{tmp_path / 'nowhere'}"
    ranking = pipeline.run(_changed(params, "data", sets=(missing, SOURCE)), store)
    by_name = {data.data: data for data in ranking.data_sets}
    assert {row.status for row in by_name["shapes-images60"].rows} == {"ranked"}
    assert "no such folder" in (by_name["nowhere"].reason or "")
    assert {row.model: row.status for row in by_name["nowhere"].rows} == {LONG: "failed", SHORT: "failed"}
    failed = read_table(store.scores).filter(status="failed")
    assert failed.select("data", "model", "step").rows() == [("nowhere", LONG, "ingest"), ("nowhere", SHORT, "ingest")]


def test_one_word_of_nonsense_is_a_failed_data_set_too(params, store):
    ranking = pipeline.run(_changed(params, "data", sets=("mode:shapes", SOURCE)), store)
    reasons = {data.data: data.reason for data in ranking.data_sets}
    assert reasons["shapes-images60"] is None
    assert "unknown kind of source 'mode'" in (reasons["mode:shapes"] or "")


def test_whatever_a_model_raises_is_its_own_row(params, store, tmp_path):
    (tmp_path / "models.py").write_text(MODELS)
    checkpoint = params.zoo.file.parent / f"{SHORT}.safetensors"
    entry = yaml.safe_load(params.zoo.file.read_text())["models"]
    good = next(model for model in entry if model["name"] == SHORT) | {"checkpoint": str(checkpoint)}
    torch.save(torch.nn.Linear(3, 2).state_dict(), tmp_path / "linear.pth")
    own = [
        {"name": name, "factory": f"models.py:{name}", "checkpoint": "linear.pth"} for name in ("unmade", "unmoved", "unrun")
    ]
    (tmp_path / "zoo.yaml").write_text(yaml.safe_dump({"models": [*own, good]}))
    ranking = pipeline.run(_changed(params, "zoo", file=tmp_path / "zoo.yaml", models=("*",), code=(tmp_path,)), store)
    rows = {row.model: row for row in ranking.data_sets[0].rows}
    assert rows[SHORT].rank == 1
    reasons = {name: row.failures[0].reason for name, row in rows.items() if row.status == "failed"}
    assert set(reasons) == {"unmade", "unmoved", "unrun"}
    assert "SystemError: not made" in reasons["unmade"]
    assert reasons["unmoved"].startswith("memory ran out; free memory")
    assert "AssertionError: not run" in reasons["unrun"]


def test_a_damaged_feature_file_is_rebuilt_with_the_same_scores(params, store, caplog):
    caplog.set_level("INFO", logger="itm")
    pipeline.run(params, store)
    scores = store.scores.read_bytes()
    for path in (store.root / "cache" / "features").rglob(f"{LONG}*.parquet"):
        path.write_bytes(path.read_bytes()[:-500])
    for path in (store.root / "cache" / "scores").rglob("*.json"):
        path.unlink()
    caplog.clear()
    pipeline.run(params, store)
    assert "is damaged or not a feature file" in caplog.text
    assert "extracted 1 pair (1 cached), computed 4 scores (0 cached), no failures" in caplog.text
    assert store.scores.read_bytes() == scores


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"names": ("*",), "rank_by": "leap"}, "no score 'leap'; did you mean 'leep'"),
        ({"names": ("knn", "leap")}, "no score 'leap'; did you mean 'leep'"),
    ],
)
def test_an_unknown_score_stops_the_run(params, store, change, said):
    with pytest.raises(ParamsError, match=said):
        pipeline.run(_changed(params, "score", **change), store)


def test_pooled_scores_are_made_of_their_terms(params, store):
    ranking = pipeline.run(_changed(params, "score", names=("ncti", "parameters"), rank_by="ncti"), store)
    assert [score.name for score in ranking.scores] == ["ncti_nuclear", "ncti_posterior", "ncti_collapse", "ncti", "parameters"]
    for row in ranking.data_sets[0].rows:
        assert len(row.scores["ncti"].fold_values) == len(row.scores["ncti_nuclear"].fold_values) == 5
        assert 0 <= row.scores["ncti"].value <= 3
        assert row.scores["parameters"].low == row.scores["parameters"].high


def _row(ranking, model):
    return next(row for row in ranking.data_sets[0].rows if row.model == model)
