"""Published tables: read whatever their shape, judged with nothing dropped in silence, and those of the field as published."""

from io import StringIO
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from itm.agreement import intervals, regret, weighted_tau, worst_cases
from itm.benchmark.published import PoolReport, evaluate_table
from itm.benchmark.published_table import read_pools
from itm.benchmark.published_view import print_evaluation
from itm.benchmark.standings import Standing
from itm.core.errors import DataError

FACTS = Path(__file__).parents[2].parent / "shared" / "facts"
real = pytest.mark.skipif(not FACTS.is_dir(), reason="the published numbers are not beside the project, in ../shared/facts")
NO_ACCURACIES = ("metric_scores", "reported_correlations", "transfergraph_model_metadata")
MODELS, SETS = ("a", "b", "c", "d"), ("pets", "cars", "food")
TRUTH = np.array([[90.0, 80.0, 70.0, 60.0], [50.0, 70.0, 60.0, 40.0], [30.0, 10.0, 40.0, 20.0]])
LOGME = np.array([[4.0, 3.0, 1.0, 2.0], [1.0, 4.0, 3.0, 2.0], [2.0, 3.0, 1.0, 4.0]])


def long(truth: np.ndarray = TRUTH, **columns: np.ndarray) -> pl.DataFrame:
    """Return a long table of the models and data sets above; NaN is no row."""
    cells = {"dataset": np.repeat(SETS, len(MODELS)), "model": np.tile(MODELS, len(SETS)), "accuracy": truth.ravel()}
    cells |= {name: values.ravel() for name, values in columns.items()}
    return pl.DataFrame(cells).filter(pl.col("accuracy").is_not_nan())


def written(table: pl.DataFrame, path: Path) -> Path:
    """Write a table as CSV, or as Parquet where the path says so."""
    if path.suffix == ".parquet":
        table.write_parquet(path)
    else:
        table.write_csv(path)
    return path


def judged(report: PoolReport) -> dict[str, Standing]:
    """Return the standings of a pool by name."""
    return {one.name: one for one in report.standings}


def test_figures_are_those_of_the_agreement_functions(tmp_path: Path) -> None:
    """A score's figures are the means over data sets, and the interval is that of the seed."""
    (report,) = evaluate_table(written(long(logme=LOGME), tmp_path / "t.csv"), draws=50, seed=3)
    taus = [weighted_tau(truth, scores) for truth, scores in zip(TRUTH, LOGME, strict=True)]
    one = judged(report)["logme"]
    assert (report.name, report.models, report.data_sets, report.missing) == ("t", 4, 3, 0)
    assert one.tau == intervals(TRUTH, worst_cases(TRUTH, LOGME).ranks, draws=50, seed=3)
    assert one.tau.mean == pytest.approx(np.mean(taus))
    assert (one.worst_set, one.worst) == ("food", pytest.approx(taus[2]))
    assert (
        one.regret == pytest.approx(np.mean([regret(t, s) for t, s in zip(TRUTH, LOGME, strict=True)])) == pytest.approx(20 / 3)
    )
    assert (one.top1, one.top3) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert (len(one.sets), one.failed, one.tied, one.sub_pools) == (3, 0, 0, None)


def test_shapes_and_kinds_of_file_are_the_same_table(tmp_path: Path) -> None:
    """Long or wide, CSV or Parquet, with usual or given names: one pool of the same numbers."""
    table = long()
    wide = (
        table.rename({"model": "net"})
        .pivot("dataset", index="net", values="accuracy")
        .with_columns(n_parameters=pl.lit(5), licence=pl.lit("MIT"))
    )
    other = table.rename({"model": "net", "dataset": "goal", "accuracy": "figure"})
    pools = [
        read_pools(written(table, tmp_path / "long.csv")),
        read_pools(written(table, tmp_path / "long.parquet")),
        read_pools(written(wide, tmp_path / "wide.csv")),
        read_pools(written(other, tmp_path / "other.csv"), model="net", data="goal", accuracy="figure"),
    ]
    for (pool,) in pools:
        assert (pool.models, pool.data_sets) == (MODELS, SETS)
        np.testing.assert_array_equal(pool.truth, TRUTH)


def test_a_table_without_data_sets_is_about_one(tmp_path: Path) -> None:
    """Models with one accuracy each are a pool on one data set, named as the file; nothing is known of other data sets."""
    path = written(pl.DataFrame({"model": MODELS, "accuracy": TRUTH[0], "logme": LOGME[0]}), tmp_path / "pets.csv")
    (report,) = evaluate_table(path, draws=20)
    assert set(judged(report)) == {"logme"}
    assert judged(report)["logme"].worst_set == "pets"


def test_scores_are_known_by_name_or_named(tmp_path: Path) -> None:
    """Columns with a score's name, however it is spelt, are scores; other numbers are only if they are asked for."""
    path = written(long(**{"H-Score": LOGME, "reg_hscore": LOGME, "shoe_size": LOGME}), tmp_path / "t.csv")
    assert set(read_pools(path)[0].scores) == {"H-Score", "reg_hscore"}
    assert set(read_pools(path, score_columns=("shoe_size",))[0].scores) == {"H-Score", "reg_hscore", "shoe_size"}


@pytest.mark.parametrize("option", ["model", "data", "accuracy", "pool"])
def test_a_column_that_is_not_there_is_named_with_its_neighbour(tmp_path: Path, option: str) -> None:
    """A slip in a column's name says which name is near."""
    path = written(long(), tmp_path / "t.csv")
    with pytest.raises(DataError, match=r"t\.csv: no column 'accuracyy'; did you mean 'accuracy'\? It has dataset, model"):
        evaluate_table(path, **{option: "accuracyy"})


def test_files_that_are_no_tables_of_accuracies_are_refused(tmp_path: Path) -> None:
    """No file, no table, no column of accuracies, and no number in it each have their own message."""
    with pytest.raises(DataError, match="no CSV or Parquet table"):
        evaluate_table(tmp_path / "none.csv")
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="no CSV or Parquet table"):
        evaluate_table(tmp_path / "torn.parquet")
    with pytest.raises(DataError, match="no column of accuracies among dataset, model"):
        evaluate_table(written(long().drop("accuracy"), tmp_path / "a.csv"))
    with pytest.raises(DataError, match="no accuracies in accuracy"):
        evaluate_table(written(long().with_columns(accuracy=pl.lit("good")), tmp_path / "b.csv"))


def test_two_accuracies_of_a_pair_are_never_mixed(tmp_path: Path) -> None:
    """They are refused, unless a pool or what the model was trained on tells them apart; other models keep their names."""
    twice = pl.concat([long().with_columns(seed_of=pl.lit("x")), long().head(1).with_columns(seed_of=pl.lit("y"))])
    path = written(twice, tmp_path / "t.csv")
    with pytest.raises(DataError, match="2 rows are of models with more than one accuracy on a data set, such as a on pets"):
        read_pools(path)
    assert [pool.name for pool in read_pools(path, pool="seed_of")] == ["x", "y"]
    (pool,) = read_pools(written(twice.rename({"seed_of": "pretrain_source"}), tmp_path / "u.csv"))
    assert pool.models == ("a x", "b", "c", "d", "a y")


def test_missing_accuracies_are_left_out_and_counted(tmp_path: Path) -> None:
    """A pair without an accuracy takes no part; data sets without an order are skipped, and odd ones are mentioned."""
    truth = TRUTH.copy()
    truth[0, 1], truth[1], truth[2, 2:] = np.nan, 55.0, np.nan
    (report,) = evaluate_table(written(long(truth, logme=LOGME), tmp_path / "t.csv"), draws=20)
    assert (report.models, report.data_sets, report.missing) == (3, 1, 0)
    assert report.notes == (
        "cars: skipped, as all 4 models have the accuracy 55, which is no order.",
        "food: skipped, as only 2 models of 4 have an accuracy.",
    )
    assert judged(report)["logme"].tau.mean == pytest.approx(weighted_tau(truth[0, [0, 2, 3]], LOGME[0, [0, 2, 3]]))
    truth = TRUTH.copy()
    truth[0, 1], truth[1, :2] = np.nan, 1.0
    (report,) = evaluate_table(written(long(truth, logme=LOGME), tmp_path / "u.csv"), draws=20)
    assert (report.models, report.data_sets, report.missing) == (4, 3, 1)
    assert report.notes == ("cars: 2 of 4 models have the accuracy 1, so its order says little.",)


def test_a_table_without_any_order_has_a_report_that_says_so(tmp_path: Path) -> None:
    """Where every data set is skipped, there are no figures and no chance level, and it can still be printed."""
    (report,) = evaluate_table(written(long(np.full((3, 4), 50.0), logme=LOGME), tmp_path / "t.csv"))
    assert (report.standings, report.chance, report.data_sets) == ((), None, 0)
    assert "Nothing to compare" in printed((report,))


def scores_file(path: Path, values: np.ndarray) -> Path:
    """Write a long table of scores of one method, without those that are NaN."""
    table = long(np.nan_to_num(values, nan=-99.0)).rename({"accuracy": "score"}).filter(pl.col("score") != -99.0)
    return written(table.with_columns(method=pl.lit("LogME")), path)


def test_scores_from_a_second_file_fail_where_they_are_missing(tmp_path: Path) -> None:
    """A model without a score on a data set that has scores is last; a data set without any is not held against the score."""
    values = LOGME.copy()
    values[0, 0], values[1] = np.nan, np.nan
    path = written(long(), tmp_path / "t.csv")
    (report,) = evaluate_table(path, scores_path=scores_file(tmp_path / "s.csv", values), draws=20)
    one = judged(report)["LogME"]
    assert (one.failed, len(one.sets)) == (1, 2)
    assert one.regret == pytest.approx((10 + 20) / 2)
    assert report.notes == ("LogME: judged on 2 of 3 data sets.",)


def test_scores_that_fit_nothing_are_counted(tmp_path: Path) -> None:
    """Scores of a model that the table lacks are mentioned, and a method given twice is refused."""
    path = written(long().filter(pl.col("model") != "d"), tmp_path / "t.csv")
    scores = scores_file(tmp_path / "s.csv", LOGME)
    (report,) = evaluate_table(path, scores_path=scores, draws=20)
    assert report.notes == ("3 of 12 scores in s.csv belong to no accuracy of the table.",)
    written(pl.concat([pl.read_csv(scores)] * 2), scores)
    with pytest.raises(DataError, match="24 rows are of a method with more than one score"):
        evaluate_table(path, scores_path=scores)
    with pytest.raises(DataError, match="scores need the columns model, dataset, method and score"):
        evaluate_table(path, scores_path=path)


def test_second_accuracies_are_ceilings(tmp_path: Path) -> None:
    """Another column and another protocol are compared with the first accuracies; the same numbers again are no measurement."""
    frozen = TRUTH[:, ::-1]
    (report,) = evaluate_table(written(long(acc_frozen=frozen, acc1=TRUTH), tmp_path / "t.csv"), draws=20)
    one = judged(report)["acc_frozen as a score"]
    assert one.kind == "ceiling"
    assert one.tau.mean == pytest.approx(np.mean([weighted_tau(t, s) for t, s in zip(TRUTH, frozen, strict=True)]))
    assert report.notes == ("acc1 as a score: the same accuracies, so no second measurement.",)
    short = long(frozen).filter(pl.col("dataset") != "cars").with_columns(protocol=pl.lit("short"))
    path = written(pl.concat([long().with_columns(protocol=pl.lit("full")), short]), tmp_path / "u.csv")
    full, short_report = evaluate_table(path, draws=20)
    assert (full.name, short_report.name) == ("full", "short")
    assert len(judged(full)["accuracy in short"].sets) == len(judged(short_report)["accuracy in full"].sets) == 2


def test_regret_is_in_points_whatever_the_accuracies(tmp_path: Path) -> None:
    """Fractions and percent give the same figures."""
    reports = [evaluate_table(written(long(t, logme=LOGME), tmp_path / "t.csv"), draws=20) for t in (TRUTH, TRUTH / 100)]
    assert reports[0][0].standings[0].regret == pytest.approx(reports[1][0].standings[0].regret)


def test_the_target_blind_order_never_sees_the_data_set_at_hand(tmp_path: Path) -> None:
    """Of two opposite data sets each is ordered by the other, so the baseline is wrong in every pair."""
    truth = np.stack([TRUTH[0], TRUTH[0, ::-1], np.full(4, np.nan)])
    (report,) = evaluate_table(written(long(truth), tmp_path / "t.csv"), draws=20)
    assert judged(report)["mean_rank_elsewhere"].tau.mean == pytest.approx(-1.0)


def printed(reports: tuple[PoolReport, ...]) -> str:
    """Return what goes into a pipe."""
    console = Console(file=StringIO(), width=40)
    print_evaluation(reports, console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_a_pipe_gets_whole_lines(tmp_path: Path) -> None:
    """Names and notes are never cut to a terminal's width; failures have a column only where there are some."""
    values = LOGME.copy()
    values[0, 0] = np.nan
    name = "a_score_with_a_name_that_is_longer_than_a_terminal_is_wide"
    path = written(long(**{name: values}), tmp_path / "t.csv")
    text = printed(evaluate_table(path, score_columns=(name,), draws=20))
    assert "t: 4 models on 3 data sets; against accuracy" in text
    assert name in text
    assert "One in twenty random orders reaches a mean tau_w of" in text
    assert "failed" in text.splitlines()[2]
    assert "failed" not in printed(evaluate_table(written(long(logme=LOGME), tmp_path / "u.csv"), draws=20)).splitlines()[2]


@real
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=pytest.mark.slow if path.stem.startswith("timm") else (), id=path.stem)
        for path in sorted(FACTS.glob("*.csv"))
    ],
)
def test_every_published_table_gives_a_report(path: Path) -> None:
    """Each table of accuracies is read without a word on its columns and judged; what is none is refused or has no figures."""
    if path.stem in NO_ACCURACIES[:2]:
        with pytest.raises(DataError):
            evaluate_table(path)
        return
    reports = evaluate_table(path, draws=50)
    for report in reports:
        assert len(report.standings) > 0 or path.stem in NO_ACCURACIES
        for one in report.standings:
            assert one.tau.low <= one.tau.high
            assert one.regret >= 0
    assert all(report.name in printed(reports) for report in reports)


@real
def test_the_target_blind_order_reaches_what_is_published() -> None:
    """Mean rank elsewhere has tau_w .60 on the ITM paper's table and .84 on SFDA's, up to how ties are counted."""
    itm = {one.name: one for one in evaluate_table(FACTS / "teguide_sfda_vit_10x11_and_itm_20x11.csv", draws=20)}["itm_hub"]
    sfda = evaluate_table(FACTS / "finetune_accuracy.csv", draws=20)[0]
    assert (itm.models, itm.data_sets, sfda.models, sfda.data_sets) == (20, 11, 11, 11)
    assert judged(itm)["mean_rank_elsewhere"].tau.mean == pytest.approx(0.60, abs=0.02)
    assert judged(sfda)["mean_rank_elsewhere"].tau.mean == pytest.approx(0.84, abs=0.01)


@real
def test_scores_and_traps_of_published_tables_are_told() -> None:
    """Stored scores join the accuracies of their benchmark, and a data set on which all models are at chance is pointed out."""
    reports = evaluate_table(FACTS / "finetune_accuracy.csv", scores_path=FACTS / "metric_scores.csv", draws=20)
    found = {one.name: len(scores) for one in reports if (scores := [j for j in one.standings if j.kind == "score"])}
    assert found == {"modelspider_single_source": 9, "tllib_single_source": 4}
    (hub,) = evaluate_table(FACTS / "transfergraph_records_180hf_x_13.csv", draws=20)
    assert "food101: 110 of 112 models have the accuracy 0.0099, so its order says little." in hub.notes
