"""Published tables: shapes, notes and results."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from itm.agreement import bootstrap_interval, regret, weighted_tau, worst_cases
from itm.benchmark.published import evaluate_table
from itm.benchmark.published_table import read_pools
from itm.core.errors import DataError
from tests.benchmark.reports import by_name, printed

MODELS, SETS = ("a", "b", "c", "d"), ("pets", "cars", "food")
TRUTH = np.array([[90.0, 80.0, 70.0, 60.0], [50.0, 70.0, 60.0, 40.0], [30.0, 10.0, 40.0, 20.0]])
LOGME = np.array([[4.0, 3.0, 1.0, 2.0], [1.0, 4.0, 3.0, 2.0], [2.0, 3.0, 1.0, 4.0]])


def long(truth: np.ndarray = TRUTH, **columns: np.ndarray) -> pl.DataFrame:
    """Return a long table of `MODELS` and `SETS`, without the rows of NaN accuracies."""
    cells = {"dataset": np.repeat(SETS, len(MODELS)), "model": np.tile(MODELS, len(SETS)), "accuracy": truth.ravel()}
    cells |= {name: values.ravel() for name, values in columns.items()}
    return pl.DataFrame(cells).filter(pl.col("accuracy").is_not_nan())


def write(table: pl.DataFrame, path: Path) -> Path:
    """Write a table as CSV or Parquet, depending on the suffix."""
    if path.suffix == ".parquet":
        table.write_parquet(path)
    else:
        table.write_csv(path)
    return path


def test_values_equal_agreement_functions(tmp_path: Path) -> None:
    (report,) = evaluate_table(write(long(logme=LOGME), tmp_path / "t.csv"), resamples=50, seed=3)
    taus = [weighted_tau(truth, scores) for truth, scores in zip(TRUTH, LOGME, strict=True)]
    one = by_name(report)["logme"]
    assert (report.name, report.models, report.data_sets, report.missing) == ("t", 4, 3, 0)
    assert one.tau == bootstrap_interval(TRUTH, worst_cases(TRUTH, LOGME).ranks, resamples=50, seed=3)
    assert one.tau.mean == pytest.approx(np.mean(taus))
    assert (one.worst_set, one.worst) == ("food", pytest.approx(taus[2]))
    assert (
        one.regret == pytest.approx(np.mean([regret(t, s) for t, s in zip(TRUTH, LOGME, strict=True)])) == pytest.approx(20 / 3)
    )
    assert (one.top1, one.top3) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert (len(one.sets), one.failed, one.tied, one.sub_pools) == (3, 0, 0, None)


def test_long_wide_csv_and_parquet_give_the_same_pool(tmp_path: Path) -> None:
    table = long()
    wide = (
        table.rename({"model": "net"})
        .pivot("dataset", index="net", values="accuracy")
        .with_columns(n_parameters=pl.lit(5), licence=pl.lit("MIT"))
    )
    other = table.rename({"model": "net", "dataset": "goal", "accuracy": "figure"})
    pools = [
        read_pools(write(table, tmp_path / "long.csv")),
        read_pools(write(table, tmp_path / "long.parquet")),
        read_pools(write(wide, tmp_path / "wide.csv")),
        read_pools(write(other, tmp_path / "other.csv"), model="net", data="goal", accuracy="figure"),
    ]
    for (pool,) in pools:
        assert (pool.models, pool.data_sets) == (MODELS, SETS)
        np.testing.assert_array_equal(pool.truth, TRUTH)


def test_table_without_data_sets_is_one_data_set(tmp_path: Path) -> None:
    path = write(pl.DataFrame({"model": MODELS, "accuracy": TRUTH[0], "logme": LOGME[0]}), tmp_path / "pets.csv")
    (report,) = evaluate_table(path, resamples=20)
    assert set(by_name(report)) == {"logme"}
    assert by_name(report)["logme"].worst_set == "pets"


def test_score_columns_are_found_by_name_or_given(tmp_path: Path) -> None:
    path = write(long(**{"H-Score": LOGME, "reg_hscore": LOGME, "shoe_size": LOGME}), tmp_path / "t.csv")
    assert set(read_pools(path)[0].scores) == {"H-Score", "reg_hscore"}
    assert set(read_pools(path, score_columns=("shoe_size",))[0].scores) == {"H-Score", "reg_hscore", "shoe_size"}


@pytest.mark.parametrize("option", ["model", "data", "accuracy", "pool"])
def test_missing_column_is_an_error_with_similar_name(tmp_path: Path, option: str) -> None:
    path = write(long(), tmp_path / "t.csv")
    with pytest.raises(
        DataError, match=r"t\.csv: there is no column 'accuracyy'; did you mean 'accuracy'\? It has dataset, model"
    ):
        evaluate_table(path, **{option: "accuracyy"})


def test_files_without_accuracies_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a CSV or Parquet table"):
        evaluate_table(tmp_path / "none.csv")
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="is not a CSV or Parquet table"):
        evaluate_table(tmp_path / "torn.parquet")
    with pytest.raises(DataError, match="no column of accuracies among dataset, model"):
        evaluate_table(write(long().drop("accuracy"), tmp_path / "a.csv"))
    with pytest.raises(DataError, match="there are no accuracies in accuracy"):
        evaluate_table(write(long().with_columns(accuracy=pl.lit("good")), tmp_path / "b.csv"))


def test_duplicate_accuracies_are_rejected_or_separated(tmp_path: Path) -> None:
    twice = pl.concat([long().with_columns(seed_of=pl.lit("x")), long().head(1).with_columns(seed_of=pl.lit("y"))])
    path = write(twice, tmp_path / "t.csv")
    with pytest.raises(DataError, match="2 rows give a model more than one accuracy on a data set, for instance a on pets"):
        read_pools(path)
    assert [pool.name for pool in read_pools(path, pool="seed_of")] == ["x", "y"]
    (pool,) = read_pools(write(twice.rename({"seed_of": "pretrain_source"}), tmp_path / "u.csv"))
    assert pool.models == ("a x", "b", "c", "d", "a y")


def test_missing_accuracies_are_excluded(tmp_path: Path) -> None:
    truth = TRUTH.copy()
    truth[0, 1], truth[1], truth[2, 2:] = np.nan, 55.0, np.nan
    (report,) = evaluate_table(write(long(truth, logme=LOGME), tmp_path / "t.csv"), resamples=20)
    assert (report.models, report.data_sets, report.missing) == (3, 1, 0)
    assert report.notes == (
        "cars: skipped, since all 4 models have the accuracy 55.",
        "food: skipped, since only 2 models of 4 have an accuracy.",
    )
    assert by_name(report)["logme"].tau.mean == pytest.approx(weighted_tau(truth[0, [0, 2, 3]], LOGME[0, [0, 2, 3]]))
    truth = TRUTH.copy()
    truth[0, 1], truth[1, :2] = np.nan, 1.0
    (report,) = evaluate_table(write(long(truth, logme=LOGME), tmp_path / "u.csv"), resamples=20)
    assert (report.models, report.data_sets, report.missing) == (4, 3, 1)
    assert report.notes == ("cars: 2 of 4 models have the accuracy 1; their order means little.",)


def test_report_of_table_without_order_is_empty(tmp_path: Path) -> None:
    (report,) = evaluate_table(write(long(np.full((3, 4), 50.0), logme=LOGME), tmp_path / "t.csv"))
    assert (report.results, report.chance, report.data_sets) == ((), None, 0)
    assert "Nothing to compare" in printed((report,))


def write_scores(path: Path, values: np.ndarray) -> Path:
    """Write a long table of scores of one method, without NaN."""
    table = long(np.nan_to_num(values, nan=-99.0)).rename({"accuracy": "score"}).filter(pl.col("score") != -99.0)
    return write(table.with_columns(method=pl.lit("LogME")), path)


def test_missing_scores_of_second_file_are_failures(tmp_path: Path) -> None:
    values = LOGME.copy()
    values[0, 0], values[1] = np.nan, np.nan
    path = write(long(), tmp_path / "t.csv")
    (report,) = evaluate_table(path, scores_path=write_scores(tmp_path / "s.csv", values), resamples=20)
    one = by_name(report)["LogME"]
    assert (one.failed, len(one.sets)) == (1, 2)
    assert one.regret == pytest.approx((10 + 20) / 2)
    assert report.notes == ("LogME: tested on 2 of 3 data sets.",)


def test_unused_and_duplicate_scores_are_reported(tmp_path: Path) -> None:
    path = write(long().filter(pl.col("model") != "d"), tmp_path / "t.csv")
    scores = write_scores(tmp_path / "s.csv", LOGME)
    (report,) = evaluate_table(path, scores_path=scores, resamples=20)
    assert report.notes == ("3 of 12 scores in s.csv have no accuracy in the table.",)
    write(pl.concat([pl.read_csv(scores)] * 2), scores)
    with pytest.raises(DataError, match="24 rows give a method more than one score"):
        evaluate_table(path, scores_path=scores)
    with pytest.raises(DataError, match="scores need the columns model, dataset, method and score"):
        evaluate_table(path, scores_path=path)


def test_second_accuracies_are_ceilings(tmp_path: Path) -> None:
    frozen = TRUTH[:, ::-1]
    (report,) = evaluate_table(write(long(acc_frozen=frozen, acc1=TRUTH), tmp_path / "t.csv"), resamples=20)
    one = by_name(report)["acc_frozen as a score"]
    assert one.kind == "ceiling"
    assert one.tau.mean == pytest.approx(np.mean([weighted_tau(t, s) for t, s in zip(TRUTH, frozen, strict=True)]))
    assert report.notes == ("acc1 as a score: skipped, since these are the same accuracies.",)
    short = long(frozen).filter(pl.col("dataset") != "cars").with_columns(protocol=pl.lit("short"))
    path = write(pl.concat([long().with_columns(protocol=pl.lit("full")), short]), tmp_path / "u.csv")
    full, short_report = evaluate_table(path, resamples=20)
    assert (full.name, short_report.name) == ("full", "short")
    assert len(by_name(full)["accuracy in short"].sets) == len(by_name(short_report)["accuracy in full"].sets) == 2


def test_regret_is_in_points_for_fractions_and_percent(tmp_path: Path) -> None:
    reports = [evaluate_table(write(long(t, logme=LOGME), tmp_path / "t.csv"), resamples=20) for t in (TRUTH, TRUTH / 100)]
    assert reports[0][0].results[0].regret == pytest.approx(reports[1][0].results[0].regret)


def test_mean_rank_elsewhere_ignores_the_data_set(tmp_path: Path) -> None:
    truth = np.stack([TRUTH[0], TRUTH[0, ::-1], np.full(4, np.nan)])
    (report,) = evaluate_table(write(long(truth), tmp_path / "t.csv"), resamples=20)
    assert by_name(report)["mean_rank_elsewhere"].tau.mean == pytest.approx(-1.0)


def test_output_for_pipe_is_not_truncated(tmp_path: Path) -> None:
    values = LOGME.copy()
    values[0, 0] = np.nan
    name = "a_score_with_a_name_that_is_longer_than_a_terminal_is_wide"
    path = write(long(**{name: values}), tmp_path / "t.csv")
    text = printed(evaluate_table(path, score_columns=(name,), resamples=20))
    assert "t: 4 models on 3 data sets; compared with accuracy" in text
    assert name in text
    assert "5 % of random orders reach a mean tau_w of" in text
    assert "failed" in text.splitlines()[2]
    assert "failed" not in printed(evaluate_table(write(long(logme=LOGME), tmp_path / "u.csv"), resamples=20)).splitlines()[2]
