"""Labels and numbers, ranked from Python: files and arrays, the page, and what does not apply."""

import json

import numpy as np
import polars as pl
import pytest

import itm
from itm.core.errors import DataError

RANDOM = np.random.default_rng(0)
GOOD = RANDOM.normal(size=(120, 6))
POOR = GOOD + 3 * RANDOM.normal(size=GOOD.shape)
NUMBERS = GOOD[:, :2] * [1, 100] + [0, 5]
INDICATORS = (GOOD[:, :3] > [0, 0.5, 1]).astype(int)
SETS = [[name for name, own in zip("abc", row, strict=True) if own] for row in INDICATORS]


def test_labels_as_lists_text_or_table_rank_alike() -> None:
    models = {"poor": POOR, "good": GOOD}
    table = pl.DataFrame(INDICATORS, schema=["a", "b", "c"])
    given = [SETS, ["|".join(own) or "|" for own in SETS], table]
    ranked = [itm.rank_embeddings(models, labels, task="multilabel", scores=["linear_probe", "leep"]) for labels in given]
    for ranking in ranked:
        assert [row.model for row in ranking] == ["good", "poor"]
        assert ranking.data.target.names == ("a", "b", "c")
        assert ranking.data.metric.label == "macro average precision"
        assert ranking.data.not_applicable == ("leep",)
        assert {"average_precision/a", "micro_f1"} < ranking.best.estimate.details.keys()
        assert ranking.best.estimate == ranked[0].best.estimate
    assert not any(row.failures for ranking in ranked for row in ranking)


def test_several_numbers_are_one_ranking_with_the_predictions_of_the_first() -> None:
    table = pl.DataFrame(NUMBERS, schema=["height [mm]", "weight"])
    ranking = itm.rank_embeddings({"poor": POOR, "good": GOOD}, table, task="regression", scores="knn")
    assert [row.model for row in ranking] == ["good", "poor"]
    assert set(ranking.best.estimate.details) == {
        *("r2", "spearman", "baseline"),
        *(f"{metric}/{name}" for metric in ("r2", "mae") for name in ("height [mm]", "weight")),
    }
    points = ranking.data.points
    assert points.keys() == {"height [mm]", "weight"}
    true, predicted = np.array(points["weight"]).T
    assert abs(true[:, None] - NUMBERS[:, 1]).min(axis=1).max() < 1e-6
    assert np.corrcoef(true, predicted)[0, 1] > 0.5


@pytest.mark.parametrize(
    ("labels", "task", "said"),
    [
        (np.full((120, 2), 3), "multilabel", "row 0 of the labels, .* the label '0' is '3'; it must be 0 or 1"),
        (np.zeros((120, 2, 2)), "multilabel", r"shape \(120, 2, 2\)"),
        (np.zeros((120, 2)), "classification", r"shape \(120, 2\)"),
        (np.ones((120, 2)), "regression", "every image has the same '0' and '1'"),
        ([*SETS[:-1], "a"], "multilabel", "labels cannot be read as an array"),
        (INDICATORS[:9], "multilabel", "has 120 rows for 9 labels"),
    ],
)
def test_wrong_labels_are_named(labels, task: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        itm.rank_embeddings({"good": GOOD}, labels, task=task, scores="knn")


@pytest.mark.slow
def test_embedded_examples_rank_with_a_page(tmp_path) -> None:
    models = ["test_resnet.drawn_long", "test_efficientnet.textures"]
    scenes = itm.rank("synthetic:scenes?images=80", models=models, store=tmp_path)
    assert scenes.best.estimate.value > 1.2 * scenes.best.estimate.details["baseline"]
    page = scenes.page.read_text()
    for text in ("Each target", "triangle", "macro average precision", "7 labels"):
        assert text in page
    angle = itm.rank("synthetic:angle?images=80", models=models, store=tmp_path)
    page = angle.page.read_text()
    for text in ("predictions of", "R²", "angle [°] from -", "° (angle)"):
        assert text in page
    stored = json.loads(next(tmp_path.glob("rankings/angle*/**/ranking.json")).read_text())
    assert len(stored["data_sets"][0]["points"]["angle [°]"]) == 70  # the images of train and val
