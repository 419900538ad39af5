"""Order, intervals, groups that cannot be told apart, and the files that hold them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from itm.core.errors import StoreError
from itm.core.params import Params
from itm.core.rankings import Estimate, Ranking
from itm.core.sections import ScoreParams
from itm.core.types import DataRef, Failure, Outcome, Score
from itm.ranking.intervals import cannot_be_told_apart, estimate, half_width, standard_error
from itm.ranking.rank import failed_outcome, rank_data, ranking, scores_table
from itm.scores import Splitting, evaluate
from itm.scores.evaluate import Sampling
from itm.store.layout import Store
from itm.store.ranking_file import VERSION, read_ranking, write_ranking

DATA = DataRef("petals", "folder:petals", Path("petals.parquet"), "d" * 64, ("rose", "tulip"), 100)
SCORE = ScoreParams()
SHARE = Splitting().judged_over_learnt
DETAILS = {"accuracy": 0.6, "balanced_accuracy": 0.4, "control": 0.5, "majority_rate": 0.3}


def scored(model: str, *draws: float, score: str = "itm") -> Outcome:
    """Return the outcome of a model with these draws."""
    made = Score("petals", DATA.hash, model, "w" * 64, score, float(np.mean(draws)), draws, 0.1)
    return Outcome("petals", model, None, (made,), ())


def test_better_models_come_first_and_failures_last() -> None:
    """Models are ordered by value, and one without a value stands at the end with its reason."""
    outcomes = [scored("b", 0.5, 0.5), failed_outcome("petals", "a", "extract", "no weights"), scored("c", 0.9, 0.9)]
    rows = rank_data(DATA, outcomes, SCORE).rows
    assert [(row.rank, row.model, row.status) for row in rows] == [
        (1, "c", "ranked"),
        (2, "b", "ranked"),
        (None, "a", "failed"),
    ]
    assert rows[2].failures == (Failure("petals", "a", "extract", "no weights"),)


def test_a_score_that_failed_beside_the_one_ranked_by_keeps_the_model_in() -> None:
    """A model whose other score is undefined is ranked, with that failure in its row."""
    outcome = replace(scored("c", 0.9, 0.8), failures=(Failure("petals", "c", "score knn", "too few rows"),))
    (row,) = rank_data(DATA, [outcome], SCORE).rows
    assert (row.status, row.failures[0].step) == ("ranked", "score knn")


def test_models_whose_draws_differ_by_chance_share_a_group() -> None:
    """A group holds those that a paired test cannot tell from its best; draws that move together do tell a small gap."""
    steady = [scored("a", 0.80, 0.70, 0.90, 0.85, 0.75), scored("b", 0.79, 0.69, 0.89, 0.84, 0.74)]
    assert [row.tie_group for row in rank_data(DATA, steady, SCORE).rows] == [1, 2]
    crossing = [scored("a", 0.80, 0.70, 0.90, 0.85, 0.75), scored("b", 0.70, 0.90, 0.75, 0.80, 0.80)]
    assert [row.tie_group for row in rank_data(DATA, crossing, SCORE).rows] == [1, 1]


def test_identical_models_cannot_be_told_apart() -> None:
    """Two models with the same draws share a group although neither draw varies against the other."""
    rows = rank_data(DATA, [scored("a", 0.8, 0.7, 0.9), scored("b", 0.8, 0.7, 0.9)], SCORE).rows
    assert [row.tie_group for row in rows] == [1, 1]


def test_standard_errors_are_those_of_the_published_corrections() -> None:
    """Draws of variance 0.005, a quarter as many rows judged as learnt from: 0.005 (1/2 + 1/4) and 0.005 times 4."""
    assert standard_error("held_out", (0.8, 0.9), 0.25) == pytest.approx(0.00375**0.5)
    assert standard_error("subset", (0.8, 0.9), 0.25) == pytest.approx(0.02**0.5)
    assert standard_error("held_out", (0.8, 0.9), 1.0) == pytest.approx(0.0075**0.5)
    assert standard_error("held_out", (0.7, 0.7, 0.7), 0.25) == pytest.approx(0.0, abs=1e-12)


def test_an_estimate_is_the_value_with_its_error_interval_and_details() -> None:
    """The interval is t(0.975, K - 1) = 12.706 standard errors each way for two draws."""
    found = estimate(replace(scored("a", 0.50, 0.51).scores[0], details=DETAILS), SHARE)
    assert found.standard_error == pytest.approx(standard_error("held_out", (0.50, 0.51), SHARE))
    assert (found.low, found.high) == pytest.approx(
        (0.505 - 12.706 * found.standard_error, 0.505 + 12.706 * found.standard_error), abs=1e-4
    )
    assert (found.value, found.draws, found.details) == (0.505, (0.50, 0.51), DETAILS)


def test_larger_judged_parts_make_more_ties() -> None:
    """The same draws tell two models apart when they come of five folds, and not when half of the rows are judged."""
    outcomes = [scored("a", 0.84, 0.86, 0.85, 0.87, 0.83), scored("b", *[0.85 - 2.4 * 0.0158] * 5)]
    assert [row.tie_group for row in rank_data(DATA, outcomes, SCORE).rows] == [1, 2]
    (one, two) = rank_data(DATA, outcomes, ScoreParams(folds=2)).rows
    assert (one.tie_group, two.tie_group, two.tied_with_first) == (1, 1, True)
    assert one.estimate == estimate(outcomes[0].scores[0], 1.0)


@pytest.mark.parametrize(("score", "sampling"), [("knn", "held_out"), ("linear_probe", "held_out"), ("logme", "subset")])
def test_intervals_hold_the_value_of_other_images_as_often_as_they_say(score: str, sampling: Sampling) -> None:
    """Over fresh samples of one population, 95 % intervals mostly hold the mean of the values, and are not far too wide."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 8))
    found = []
    for _ in range(60):
        labels = np.arange(240) % 3
        result = evaluate(score, rng.normal(size=(240, 8)) * 1.5 + centres[labels], labels)
        found.append((result.value, half_width(sampling, result.draws, SHARE)))
    values, halves = np.array(found).T
    held = np.abs(values - values.mean()) <= halves
    assert held.mean() >= 0.85
    assert halves.mean() < 6 * values.std()


@pytest.mark.parametrize(
    ("score", "sampling", "splitting"),
    [("knn", "held_out", Splitting()), ("knn", "held_out", Splitting(seeds=2)), ("logme", "subset", Splitting())],
)
def test_equal_models_are_seldom_told_apart_and_unequal_ones_mostly(
    score: str, sampling: Sampling, splitting: Splitting
) -> None:
    """Of pairs of equally good models at most a tenth is told apart, of pairs with a clear difference at least nine tenths."""
    rng = np.random.default_rng(1)
    labels = np.arange(150) % 3
    ids = [f"{i:03d}" for i in range(150)]

    def evaluated(gap: float) -> Estimate:
        features = rng.normal(size=(150, 8)) + gap * np.eye(3, 8)[labels]
        result = evaluate(score, features, labels, ids=ids, splitting=splitting)
        return Estimate(result.value, 0.0, 0.0, result.draws)

    def told_apart(one: Estimate, other: Estimate) -> bool:
        return not cannot_be_told_apart(sampling, one, other, splitting.judged_over_learnt)

    pairs = [(evaluated(1.0), evaluated(1.0), evaluated(3.0)) for _ in range(60)]
    assert np.mean([told_apart(one, other) for one, other, _ in pairs]) <= 0.1
    assert np.mean([told_apart(one, better) for one, _, better in pairs]) >= 0.9


def test_a_noisy_model_further_down_is_still_tied_with_the_first() -> None:
    """Groups are opened by their best, so a tie with the first is kept apart from the number of the group."""
    outcomes = [
        scored("a", 0.80, 0.80, 0.80, 0.80, 0.80),
        scored("b", 0.78, 0.78, 0.78, 0.78, 0.78),
        scored("c", 0.60, 0.90, 0.75, 0.65, 0.80),
    ]
    rows = rank_data(DATA, outcomes, SCORE).rows
    assert [(row.tie_group, row.tied_with_first) for row in rows] == [(1, False), (2, False), (2, True)]


def test_intervals_end_where_the_score_does() -> None:
    """The interval of an accuracy never leaves 0 to 1."""
    found = estimate(scored("a", 0.5, 1.0, 0.9, 0.0, 0.1).scores[0], SHARE)
    assert (found.low, found.high) == (0.0, 1.0)


def test_a_lead_of_one_model_over_another_is_symmetric() -> None:
    """Telling apart does not depend on who is asked first."""
    one, other = (estimate(scored(m, *d).scores[0], SHARE) for m, d in (("a", (0.8, 0.7, 0.9)), ("b", (0.6, 0.7, 0.5))))
    told = [not cannot_be_told_apart("held_out", *pair, SHARE) for pair in ((one, other), (other, one))]
    assert told[0] == told[1]


def test_the_long_table_has_a_row_a_value_a_draw_and_a_failure() -> None:
    """scores.parquet keeps every draw, and a failure as a row with its reason."""
    table = scores_table([DATA], [scored("b", 0.5, 0.7), failed_outcome("petals", "a", "extract", "no weights")], SCORE)
    assert table.select("model", "draw", "value", "status", "reason").rows() == [
        ("a", None, None, "failed", "no weights"),
        ("b", None, 0.6, "ok", None),
        ("b", 0, 0.5, "ok", None),
        ("b", 1, 0.7, "ok", None),
    ]


def test_the_row_of_a_value_carries_its_error_and_details() -> None:
    """A score of all rows has no details, and rows of draws and failures have neither."""
    itm = scored("b", 0.5, 0.7)
    detailed = replace(itm, scores=(replace(itm.scores[0], details=DETAILS), *scored("b", -1.0, -0.8, score="logme").scores))
    table = scores_table([DATA], [detailed, failed_outcome("petals", "a", "extract", "no weights")], ScoreParams(folds=3))
    rows = {(row["score"], row["draw"]): row for row in table.iter_rows(named=True)}
    columns = ("standard_error", *DETAILS)
    expected = {
        ("itm", None): (standard_error("held_out", (0.5, 0.7), 0.5), *DETAILS.values()),
        ("logme", None): (standard_error("subset", (-1.0, -0.8), 0.5), None, None, None, None),
    }
    assert set(rows) == {(None, None), *((score, draw) for score in ("itm", "logme") for draw in (None, 0, 1))}
    for key, row in rows.items():
        assert tuple(row[column] for column in columns) == expected.get(key, (None,) * 5)
    assert {table.schema[column] for column in columns} == {pl.Float64()}


def detailed_ranking(store: Store) -> Ranking:
    """Write a ranking of one model with details and one that failed, and return it."""
    itm = scored("b", 0.5, 0.7)
    detailed = replace(itm, scores=(replace(itm.scores[0], details=DETAILS),))
    outcomes = [detailed, failed_outcome("petals", "a", "extract", "no weights")]
    written = ranking([rank_data(DATA, outcomes, SCORE)], Params())
    write_ranking(written, scores_table([DATA], outcomes, SCORE), store)
    return written


def test_a_ranking_comes_back_as_it_was_written(tmp_path: Path) -> None:
    """ranking.json holds the whole record, with errors and details, and equal rankings are equal bytes."""
    store = Store(tmp_path)
    written = detailed_ranking(store)
    kept = written.data_sets[0].rows[0].estimate
    assert kept is not None
    assert (kept.details, kept.standard_error > 0) == (DETAILS, True)
    before = store.ranking.read_bytes(), store.scores.read_bytes()
    assert read_ranking(store) == written
    write_ranking(read_ranking(store), pl.read_parquet(store.scores), store)
    assert (store.ranking.read_bytes(), store.scores.read_bytes()) == before


def test_a_ranking_says_how_rows_were_split() -> None:
    """The parameters among its provenance hold kind, folds and seeds."""
    said = ranking([], Params(score=ScoreParams(splitting="paper", folds=4, seeds=3))).provenance["params"]["score"]
    assert (said["splitting"], said["folds"], said["seeds"], said["seed"]) == ("paper", 4, 3, 12357)


def test_a_ranking_of_an_older_version_says_to_rank_again(tmp_path: Path) -> None:
    """One without errors and details is not read as if they were 0."""
    store = Store(tmp_path)
    detailed_ranking(store)
    store.ranking.write_text(json.dumps(json.loads(store.ranking.read_text()) | {"version": 1}))
    with pytest.raises(StoreError, match="from another version; run `itm rank` again"):
        read_ranking(store)


@pytest.mark.parametrize("text", ["{", "[]", '{"version": 7}', f'{{"version": {VERSION}, "rank_by": "itm"}}'])
def test_a_damaged_ranking_is_named(tmp_path: Path, text: str) -> None:
    """A ranking that cannot be read says so and what to do."""
    store = Store(tmp_path)
    store.ranking.parent.mkdir(parents=True)
    store.ranking.write_text(text)
    with pytest.raises(StoreError, match="run"):
        read_ranking(store)


def test_no_ranking_yet_says_how_to_get_one(tmp_path: Path) -> None:
    """Asking for a ranking before there is one names the command."""
    with pytest.raises(StoreError, match="itm rank"):
        read_ranking(Store(tmp_path))
