"""`itm.rank_embeddings`: the same numbers as for files, checked input, and nothing written."""

from pathlib import Path

import numpy as np
import pytest
import torch

import itm
from itm.core.errors import DataError, ModelError, ParamsError
from itm.store.layout import Store

LABELS = np.arange(90) % 3
RANDOM = np.random.default_rng(0)
CENTRES = np.eye(3, 5)[LABELS]
GOOD = CENTRES + 0.3 * RANDOM.normal(size=CENTRES.shape)
POOR = CENTRES + 2.0 * RANDOM.normal(size=CENTRES.shape)
NAMES = np.array(["cat", "dog", "owl"])[LABELS]


def test_the_better_embeddings_are_first_and_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ranking = itm.rank_embeddings({"poor": POOR, "good": GOOD}, NAMES, scores=["knn", "logme"])
    assert [row.model for row in ranking] == ["good", "poor"]
    assert ranking.best.estimate is not None
    assert ranking.best.estimate.low < ranking.best.estimate.value <= ranking.best.estimate.high
    assert ranking.best.scores.keys() == {"knn", "logme"}
    assert ranking.data.target.names == ("cat", "dog", "owl")
    assert ranking.answer == "For embeddings, fine-tune good. It is clearly better than every other model."
    assert list(tmp_path.iterdir()) == []
    assert ranking.page is None
    with pytest.raises(ModelError, match="embeddings were ranked, and there is no model to load"):
        ranking.load()


@pytest.mark.slow
@pytest.mark.parametrize("missing", [0, 60], ids=["all grouped", "some without"])
def test_arrays_and_files_have_the_same_scores_and_intervals(tmp_path, monkeypatch, missing):
    monkeypatch.chdir(tmp_path)
    groups = ["" if row < missing else f"p{row // 2}" for row in range(90)]
    ranking = itm.rank_embeddings({"poor": POOR, "good": GOOD}, NAMES, groups=groups)
    Path("own").mkdir()
    np.save("own/poor.npy", POOR)
    np.save("own/good.npy", GOOD)
    rows = [f"{name},{group}" for name, group in zip(NAMES, groups, strict=True)]
    Path("own/labels.csv").write_text("label,group\n" + "\n".join(rows))
    stored = itm.rank("embeddings:own", store=tmp_path / "store")
    assert [(row.model, row.scores, row.tie_group) for row in stored] == [
        (row.model, row.scores, row.tie_group) for row in ranking
    ]
    assert Store(tmp_path / "store").root.is_dir()


def test_tensors_lists_and_tables_are_taken():
    import polars as pl

    tensor = torch.tensor(GOOD, dtype=torch.bfloat16, requires_grad=True)
    arrays = {"tensor": tensor, "list": GOOD.tolist(), "table": pl.DataFrame(GOOD)}
    ranking = itm.rank_embeddings(arrays, torch.tensor(LABELS), scores="knn")
    assert {row.status for row in ranking} == {"ranked"}
    assert ranking.data.target.names == ("0", "1", "2")


def test_groups_are_never_divided():
    pairs = np.repeat(RANDOM.normal(size=(45, 5)), 2, axis=0)  # without groups, each image has its twin in another fold
    labels, groups = np.repeat(RANDOM.integers(0, 3, 45), 2), np.repeat(np.arange(45), 2)
    values = [
        itm.rank_embeddings({"m": pairs}, labels, groups=own, scores="knn").best.scores["knn"].value for own in (None, groups)
    ]
    assert values[0] > 0.7 > values[1]


def test_an_image_without_a_group_is_its_own_group():
    names = [f"p{row}" if row < 30 else [None, float("nan"), ""][row % 3] for row in range(90)]
    alone = [f"p{row}" for row in range(90)]
    found, expected = (itm.rank_embeddings({"m": POOR}, NAMES, groups=groups, scores="knn") for groups in (names, alone))
    assert found.best.scores == expected.best.scores
    assert found.data.groups == 30
    assert itm.rank_embeddings({"m": POOR}, NAMES, groups=[None] * 90, scores="knn").data.groups == 0


def test_wildcards_of_scores_are_taken():
    ranking = itm.rank_embeddings({"m": GOOD}, NAMES, scores="kn*")
    assert ranking.data.rank_by == "knn"


def test_numbers_are_targets_of_a_regression():
    ranking = itm.rank_embeddings({"m": GOOD}, GOOD[:, 0] + 1, task="regression", scores="linear_probe")
    assert ranking.data.metric.name == "r2"
    assert ranking.best.scores["linear_probe"].value > 0.9


def test_an_array_that_does_not_fit_is_a_failed_row():
    broken = GOOD.copy()
    broken[4, 1] = np.nan
    ranking = itm.rank_embeddings(
        {"good": GOOD, "nan": broken, "short": GOOD[:9], "maps": np.ones((90, 2, 2))}, NAMES, scores="knn"
    )
    assert ranking.best.model == "good"
    reasons = {failure.model: failure.reason for failure in ranking.failures}
    assert reasons["nan"].startswith("nan: 1 row of 90 hold values that are missing or infinite, the first is row 4")
    assert reasons["short"].startswith("short: has 9 rows for 90 labels")
    assert reasons["maps"].startswith("maps: has the shape (90, 2, 2)")


def test_combined_scores_and_scores_that_need_a_model():
    ranking = itm.rank_embeddings({"poor": POOR, "good": GOOD}, NAMES, scores=["knn", "leep", "ncti"])
    assert "ncti" in ranking.best.scores
    assert {failure.step for failure in ranking.failures} == {"score leep"}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"embeddings": GOOD}, ParamsError, "must be a mapping with at least one model"),
        ({"embeddings": {}}, ParamsError, "must be a mapping with at least one model"),
        ({"embeddings": {"m": GOOD[:3]}}, DataError, "m: has 3 rows for 90 labels"),
        ({"labels": ["cat"] * 90}, DataError, "there is only one class, 'cat'"),
        ({"labels": [*NAMES[:-1], "cow"]}, DataError, "fewer than two usable images: 'cow' (1)"),
        ({"labels": [*NAMES[:-1], None]}, DataError, "row 89 of the labels, counted from 0, has no label"),
        ({"labels": CENTRES}, DataError, "labels have the shape (90, 5); one value per image"),
        ({"groups": [1, 2]}, DataError, "there are 2 groups for 90 labels"),
        ({"scores": "knm"}, ParamsError, "did you mean 'knn'"),
        ({"task": "segmentation"}, ParamsError, "segmentation"),
        ({"by": "itm", "scores": "knn"}, ParamsError, "rank_by is 'itm'"),
    ],
)
def test_a_wrong_argument_is_named(arguments, error, message):
    with pytest.raises(error) as raised:
        itm.rank_embeddings(**({"embeddings": {"m": GOOD}, "labels": NAMES} | arguments))
    assert message in str(raised.value)
