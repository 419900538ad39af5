"""Order, intervals, groups that cannot be told apart, and the files that hold them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from itm.core.errors import StoreError
from itm.core.params import Params
from itm.core.rankings import Estimate, MetricFacts, Ranking
from itm.core.sections import ScoreParams
from itm.core.types import DataRef, Failure, Outcome, ScoreValue, TargetSpec
from itm.ranking.intervals import cannot_be_told_apart, estimate, half_width, standard_error
from itm.ranking.rank import failed_outcome, rank_data, ranking, scores_table
from itm.scores import Sampling, Splitting, evaluate
from itm.store.layout import Store
from itm.store.ranking_file import VERSION, read_ranking, write_ranking

pytestmark = pytest.mark.slow

TARGET = TargetSpec("classification", ("rose", "tulip"))
DATA = DataRef("petals", "folder:petals", Path("petals.parquet"), "d" * 64, TARGET, 100, groups=7, rejected={"empty": 2})
SCORE = ScoreParams()
SHARE = Splitting().test_over_train
DETAILS = {"accuracy": 0.6, "balanced_accuracy": 0.4, "baseline": 0.3, "control": 0.5}


def scored(model: str, *fold_values: float, score: str = "itm") -> Outcome:
    """Return the outcome of a model with these values per fold."""
    metric = "accuracy" if score == "itm" else None
    mean = float(np.mean(fold_values))
    value = ScoreValue("petals", DATA.hash, model, "w" * 64, score, mean, fold_values, 0.1, metric=metric)
    return Outcome("petals", model, None, (value,), ())


def test_better_models_come_first_and_failures_last() -> None:
    outcomes = [scored("b", 0.5, 0.5), failed_outcome("petals", "a", "extract", "no weights"), scored("c", 0.9, 0.9)]
    rows = rank_data(DATA, outcomes, SCORE).rows
    assert [(row.rank, row.model, row.status) for row in rows] == [
        (1, "c", "ranked"),
        (2, "b", "ranked"),
        (None, "a", "failed"),
    ]
    assert rows[2].failures == (Failure("petals", "a", "extract", "no weights"),)


def test_a_score_that_failed_beside_the_one_ranked_by_keeps_the_model_in() -> None:
    outcome = replace(scored("c", 0.9, 0.8), failures=(Failure("petals", "c", "score knn", "too few rows"),))
    (row,) = rank_data(DATA, [outcome], SCORE).rows
    assert (row.status, row.failures[0].step) == ("ranked", "score knn")


def test_models_that_differ_by_chance_share_a_group() -> None:
    steady = [scored("a", 0.80, 0.70, 0.90, 0.85, 0.75), scored("b", 0.79, 0.69, 0.89, 0.84, 0.74)]
    assert [row.tie_group for row in rank_data(DATA, steady, SCORE).rows] == [1, 2]
    crossing = [scored("a", 0.80, 0.70, 0.90, 0.85, 0.75), scored("b", 0.70, 0.90, 0.75, 0.80, 0.80)]
    assert [row.tie_group for row in rank_data(DATA, crossing, SCORE).rows] == [1, 1]


def test_identical_models_cannot_be_told_apart() -> None:
    rows = rank_data(DATA, [scored("a", 0.8, 0.7, 0.9), scored("b", 0.8, 0.7, 0.9)], SCORE).rows
    assert [row.tie_group for row in rows] == [1, 1]


def test_standard_errors_are_those_of_the_published_corrections() -> None:
    assert standard_error("held_out", (0.8, 0.9), 0.25) == pytest.approx(0.00375**0.5)
    assert standard_error("subset", (0.8, 0.9), 0.25) == pytest.approx(0.02**0.5)
    assert standard_error("held_out", (0.8, 0.9), 1.0) == pytest.approx(0.0075**0.5)
    assert standard_error("held_out", (0.7, 0.7, 0.7), 0.25) == pytest.approx(0.0, abs=1e-12)


def test_an_estimate_is_the_value_with_its_error_interval_and_details() -> None:
    found = estimate(replace(scored("a", 0.50, 0.51).scores[0], details=DETAILS), SHARE)
    assert found.standard_error == pytest.approx(standard_error("held_out", (0.50, 0.51), SHARE))
    assert (found.low, found.high) == pytest.approx(
        (0.505 - 12.706 * found.standard_error, 0.505 + 12.706 * found.standard_error), abs=1e-4
    )
    assert (found.value, found.fold_values, found.details) == (0.505, (0.50, 0.51), DETAILS)


def test_larger_test_sets_make_more_ties() -> None:
    outcomes = [scored("a", 0.84, 0.86, 0.85, 0.87, 0.83), scored("b", *[0.85 - 2.4 * 0.0158] * 5)]
    assert [row.tie_group for row in rank_data(DATA, outcomes, SCORE).rows] == [1, 2]
    (one, two) = rank_data(DATA, outcomes, ScoreParams(folds=2)).rows
    assert (one.tie_group, two.tie_group, two.tied_with_first) == (1, 1, True)
    assert one.estimate == estimate(outcomes[0].scores[0], 1.0)


@pytest.mark.parametrize(("score", "sampling"), [("knn", "held_out"), ("linear_probe", "held_out"), ("logme", "subset")])
def test_intervals_hold_the_value_of_other_images_as_often_as_they_say(score: str, sampling: Sampling) -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 8))
    found = []
    for _ in range(60):
        labels = np.arange(240) % 3
        result = evaluate(score, rng.normal(size=(240, 8)) * 1.5 + centres[labels], labels)
        found.append((result.value, half_width(sampling, result.fold_values, SHARE)))
    values, halves = np.array(found).T
    held = np.abs(values - values.mean()) <= halves
    assert held.mean() >= 0.85
    assert halves.mean() < 6 * values.std()


@pytest.mark.parametrize(
    ("score", "sampling", "splitting"),
    [("knn", "held_out", Splitting()), ("knn", "held_out", Splitting(repeats=2)), ("logme", "subset", Splitting())],
)
def test_equal_models_are_seldom_told_apart_and_unequal_ones_mostly(
    score: str, sampling: Sampling, splitting: Splitting
) -> None:
    rng = np.random.default_rng(1)
    labels = np.arange(150) % 3
    ids = [f"{i:03d}" for i in range(150)]

    def evaluated(gap: float) -> Estimate:
        features = rng.normal(size=(150, 8)) + gap * np.eye(3, 8)[labels]
        result = evaluate(score, features, labels, ids=ids, splitting=splitting)
        return Estimate(result.value, 0.0, 0.0, result.fold_values)

    def told_apart(one: Estimate, other: Estimate) -> bool:
        return not cannot_be_told_apart(sampling, one, other, splitting.test_over_train)

    pairs = [(evaluated(1.0), evaluated(1.0), evaluated(3.0)) for _ in range(60)]
    assert np.mean([told_apart(one, other) for one, other, _ in pairs]) <= 0.1
    assert np.mean([told_apart(one, better) for one, _, better in pairs]) >= 0.9


def test_a_noisy_model_further_down_is_still_tied_with_the_first() -> None:
    outcomes = [
        scored("a", 0.80, 0.80, 0.80, 0.80, 0.80),
        scored("b", 0.78, 0.78, 0.78, 0.78, 0.78),
        scored("c", 0.60, 0.90, 0.75, 0.65, 0.80),
    ]
    rows = rank_data(DATA, outcomes, SCORE).rows
    assert [(row.tie_group, row.tied_with_first) for row in rows] == [(1, False), (2, False), (2, True)]


def test_a_ranking_names_the_version_of_each_score() -> None:
    params = Params(score=ScoreParams(names=("etran", "knn"), rank_by="knn"))
    versions = ranking([rank_data(DATA, [], params.score)], params).provenance["versions"]
    assert versions["scores"] == {"energy": 1, "lda": 1, "etran": 1, "knn": 2}


def test_intervals_end_at_the_bounds_of_the_metric() -> None:
    found = estimate(scored("a", 0.5, 1.0, 0.9, 0.0, 0.1).scores[0], SHARE)
    assert (found.low, found.high) == (0.0, 1.0)
    found = estimate(scored("a", -0.01, -3.0, -0.02, score="lead").scores[0], SHARE)
    assert found.low < -3.0
    assert found.high == 0.0


def test_a_lead_of_one_model_over_another_is_symmetric() -> None:
    one, other = (estimate(scored(m, *d).scores[0], SHARE) for m, d in (("a", (0.8, 0.7, 0.9)), ("b", (0.6, 0.7, 0.5))))
    told = [not cannot_be_told_apart("held_out", *pair, SHARE) for pair in ((one, other), (other, one))]
    assert told[0] == told[1]


def test_the_long_table_has_a_row_a_value_a_draw_and_a_failure() -> None:
    table = scores_table([DATA], [scored("b", 0.5, 0.7), failed_outcome("petals", "a", "extract", "no weights")], SCORE)
    assert table.select("model", "fold", "value", "status", "reason").rows() == [
        ("a", None, None, "failed", "no weights"),
        ("b", None, 0.6, "ok", None),
        ("b", 0, 0.5, "ok", None),
        ("b", 1, 0.7, "ok", None),
    ]


def test_the_row_of_a_value_carries_its_error_and_details() -> None:
    itm = scored("b", 0.5, 0.7)
    detailed = replace(itm, scores=(replace(itm.scores[0], details=DETAILS), *scored("b", -1.0, -0.8, score="logme").scores))
    table = scores_table([DATA], [detailed, failed_outcome("petals", "a", "extract", "no weights")], ScoreParams(folds=3))
    rows = {(row["score"], row["fold"]): row for row in table.iter_rows(named=True)}
    columns = ("standard_error", "metric", *DETAILS)
    expected = {
        ("itm", None): (standard_error("held_out", (0.5, 0.7), 0.5), "accuracy", *DETAILS.values()),
        ("logme", None): (standard_error("subset", (-1.0, -0.8), 0.5), None, None, None, None, None),
    }
    assert set(rows) == {(None, None), *((score, fold) for score in ("itm", "logme") for fold in (None, 0, 1))}
    for key, row in rows.items():
        assert tuple(row[column] for column in columns) == expected.get(key, (None,) * 6)
    assert {table.schema[column] for column in columns if column != "metric"} == {pl.Float64()}
    assert table.columns[6:13] == ["value", *columns]


def detailed_ranking(store: Store) -> Ranking:
    """Write a ranking of one model with details and one that failed, and return it."""
    itm = scored("b", 0.5, 0.7)
    detailed = replace(itm, scores=(replace(itm.scores[0], details=DETAILS),))
    outcomes = [detailed, failed_outcome("petals", "a", "extract", "no weights")]
    written = ranking([rank_data(DATA, outcomes, SCORE)], Params())
    write_ranking(written, scores_table([DATA], outcomes, SCORE), store)
    return written


def test_a_ranking_comes_back_as_it_was_written(tmp_path: Path) -> None:
    store = Store(tmp_path)
    written = detailed_ranking(store)
    kept = written.data_sets[0].rows[0].estimate
    assert kept is not None
    assert (kept.details, kept.standard_error > 0) == (DETAILS, True)
    before = store.ranking.read_bytes(), store.scores.read_bytes()
    assert read_ranking(store) == written
    write_ranking(read_ranking(store), pl.read_parquet(store.scores), store)
    assert (store.ranking.read_bytes(), store.scores.read_bytes()) == before


def test_a_ranking_names_kind_metric_and_score() -> None:
    outcome = scored("b", 0.5, 0.7)
    measured = replace(outcome, scores=(replace(outcome.scores[0], metric="balanced_accuracy"),))
    data = rank_data(DATA, [measured], SCORE)
    assert (data.target, data.groups, data.rejected) == (TARGET, 7, {"empty": 2})
    assert data.metric == MetricFacts("accuracy", "accuracy", higher_is_better=True)
    assert (data.rank_by, data.score_metric) == ("itm", "balanced_accuracy")
    assert rank_data(DATA, [], SCORE).score_metric is None


def test_auto_ranks_by_the_first_choice_of_the_kind_that_is_computed() -> None:
    assert rank_data(DATA, [], ScoreParams(names=("logme", "itm"))).rank_by == "itm"
    assert rank_data(DATA, [], ScoreParams(names=("logme", "knn"))).rank_by == "logme"
    assert rank_data(DATA, [], ScoreParams(names=("logme", "knn"), rank_by="knn")).rank_by == "knn"


def test_a_ranking_says_how_rows_were_split() -> None:
    said = ranking([], Params(score=ScoreParams(splitting="holdout", folds=4, repeats=3))).provenance["params"]["score"]
    assert (said["splitting"], said["folds"], said["repeats"], said["seed"]) == ("holdout", 4, 3, 12357)


def test_a_ranking_of_an_older_version_says_to_rank_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    detailed_ranking(store)
    store.ranking.write_text(json.dumps(json.loads(store.ranking.read_text()) | {"version": 1}))
    with pytest.raises(StoreError, match="from another version; run `itm rank` again"):
        read_ranking(store)


@pytest.mark.parametrize("text", ["{", "[]", '{"version": 7}', f'{{"version": {VERSION}, "rank_by": "itm"}}'])
def test_a_damaged_ranking_is_named(tmp_path: Path, text: str) -> None:
    store = Store(tmp_path)
    store.ranking.parent.mkdir(parents=True)
    store.ranking.write_text(text)
    with pytest.raises(StoreError, match="run"):
        read_ranking(store)


def test_no_ranking_yet_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="itm rank"):
        read_ranking(Store(tmp_path))
