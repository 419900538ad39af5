"""The desk benchmark: from measurements tables to evaluated predictors and written results."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from itm.benchmark.desk import run
from itm.benchmark.measurements import read_measurements
from itm.benchmark.predictors import build_predictors, mean_rank_elsewhere
from itm.benchmark.results import PoolResults, PredictorResult, evaluate_pool
from itm.benchmark.standings_table import markdown
from itm.core.errors import DataError
from itm.core.params import Params
from itm.core.sections import EvaluateParams
from itm.store.layout import Store

pytestmark = pytest.mark.slow

Measure = Callable[..., Path]


def by_name(pool: PoolResults) -> dict[str, PredictorResult]:
    """Return the results of a pool by predictor."""
    return {one.name: one for one in pool.results}


def test_perfect_score(measured_folder: Measure) -> None:
    found = by_name(evaluate_pool("all", read_measurements(measured_folder()), resamples=100, seed=0))
    knn = found["knn"]
    assert (knn.tau.mean, knn.tau.low, knn.worst) == pytest.approx((1, 1, 1))
    assert (knn.regret, knn.top1, knn.top3) == (0, 1, 1)
    assert knn.difference_to_itm is not None
    assert (knn.difference_to_itm.mean, knn.difference_to_itm.low, knn.difference_to_itm.high) == (0, 0, 0)
    assert found["itm"].difference_to_itm is None


def test_regret_is_in_points(measured_folder: Measure) -> None:
    truth = read_measurements(measured_folder()).truth
    found = by_name(evaluate_pool("all", read_measurements(measured_folder(backwards=-truth)), resamples=100, seed=0))[
        "backwards"
    ]
    assert found.regret == pytest.approx(np.mean(truth.max(1) - truth.min(1)))
    assert found.tau.mean == pytest.approx(-1)


def test_failed_models_are_last(measured_folder: Measure) -> None:
    truth = read_measurements(measured_folder()).truth
    holes = np.where(truth == truth.max(1, keepdims=True), np.nan, truth)
    found = by_name(evaluate_pool("all", read_measurements(measured_folder(holes=holes)), resamples=100, seed=0))["holes"]
    assert (found.failed, found.top1) == (3, 0)
    assert found.tau.mean < 0.8


def test_controls_and_ceilings_are_evaluated(measured_folder: Measure) -> None:
    found = by_name(evaluate_pool("all", read_measurements(measured_folder(noise=0.1)), resamples=100, seed=0))
    kinds = {name: one.kind for name, one in found.items()}
    assert kinds == {"itm": "score"} | dict.fromkeys(
        ("knn", "parameters", "gmacs", "imagenet_top1", "random", "mean_rank_elsewhere"), "control"
    ) | dict.fromkeys(("other_seed", "head_only"), "ceiling")
    assert found["other_seed"].tau.mean == found["head_only"].tau.mean == pytest.approx(1)
    assert found["imagenet_top1"].failed == 8 * 3


def test_random_orders_have_no_agreement(measured_folder: Measure) -> None:
    pool = evaluate_pool("all", read_measurements(measured_folder()), resamples=400, seed=0)
    random = by_name(pool)["random"]
    assert random.tau.mean == pytest.approx(0, abs=0.05)
    assert random.top1 == pytest.approx(1 / 12, abs=0.03)
    assert -random.tau.low == pytest.approx(random.tau.high, abs=0.08)
    assert 0 < pool.chance < random.tau.high


def test_sub_pools_need_more_models_than_their_size(measured_folder: Measure) -> None:
    measurements = read_measurements(measured_folder())
    whole, mini = (evaluate_pool("one", own, resamples=100, seed=0) for own in (measurements, measurements.for_pool("mini")))
    assert by_name(whole)["itm"].sub_pools is not None
    assert by_name(mini)["itm"].sub_pools is None
    assert (len(whole.models), len(mini.models)) == (12, 8)


def test_incomplete_data_sets_are_left_out(measured_folder: Measure) -> None:
    folder = measured_folder()
    table = pl.read_csv(folder / "accuracies.csv")
    missing = (pl.col("model") == "real_a") & (pl.col("data") == "letters")
    table.filter(~missing).write_csv(folder / "accuracies.csv")
    measurements = read_measurements(folder)
    whole, mini = (evaluate_pool("one", own, resamples=100, seed=0) for own in (measurements, measurements.for_pool("mini")))
    assert (whole.sets, whole.left_out) == (("flowers", "tiles"), ("letters",))
    assert (mini.sets, mini.left_out) == (("flowers", "letters", "tiles"), ())
    table.filter(pl.col("model") != "real_a").write_csv(folder / "accuracies.csv")
    with pytest.raises(DataError, match="no data set has accuracies of all 12 models"):
        evaluate_pool("one", read_measurements(folder), resamples=100, seed=0)


def test_mean_rank_elsewhere_ignores_the_data_set() -> None:
    truth = np.array([[3.0, 1.0, 2.0], [3.0, 2.0, 1.0], [1.0, 2.0, 3.0]])
    assert mean_rank_elsewhere(truth)[0].tolist() == [2.0, 2.0, 2.0]
    changed = truth.copy()
    changed[0] = [1.0, 2.0, 3.0]
    assert mean_rank_elsewhere(changed)[0].tolist() == mean_rank_elsewhere(truth)[0].tolist()
    assert mean_rank_elsewhere(changed)[1].tolist() != mean_rank_elsewhere(truth)[1].tolist()


def test_pooled_scores_are_computed_per_pool(measured_folder: Measure) -> None:
    generator = np.random.default_rng(0)
    terms = {name: generator.normal(size=(3, 12)) for name in ("energy", "lda")}
    measurements = read_measurements(measured_folder(**terms, etran=np.zeros((3, 12))))
    whole = next(one for one in build_predictors(measurements) if one.name == "etran").values[:, :8]
    mini = next(one for one in build_predictors(measurements.for_pool("mini")) if one.name == "etran").values
    assert mini.min() >= 0
    assert mini.max() <= 1
    assert not np.allclose(whole, mini)


def test_run_writes_all_files_deterministically(measured_folder: Measure, store: Store) -> None:
    params = Params(evaluate=EvaluateParams(measured=measured_folder(noise=0.1), resamples=100))
    pools = run(params, store)
    before = {path.name: path.read_bytes() for path in store.evaluation.iterdir()}
    assert sorted(before) == [
        "agreement.csv",
        "desk.png",
        "index.html",
        "mini.png",
        "real.png",
        "short.md",
        "summary.json",
        "table.md",
    ]
    summary = json.loads(before["summary.json"])
    assert list(summary) == ["desk", "desk, pools of 10", "mini", "real"]
    itm = summary["desk"]["itm"]
    assert itm["tau_w"][1] <= itm["tau_w"][0] <= itm["tau_w"][2]
    assert {"worst", "regret", "top1"} <= itm.keys()
    table = pl.read_csv(before["agreement.csv"]).filter(contender="itm", data="flowers")
    assert table["tau_w"][0] == pytest.approx(by_name(pools[0])["itm"].tau_by_set[0])
    assert before["table.md"].decode() == "\n".join(markdown(pool) for pool in pools)
    run(params, store)
    assert {path.name: path.read_bytes() for path in store.evaluation.iterdir()} == before


def spoil_accuracy(folder: Path) -> None:
    """Write accuracies in percent."""
    table = pl.read_csv(folder / "accuracies.csv")
    table.with_columns(pl.col("test_accuracy") * 100).write_csv(folder / "accuracies.csv")


def spoil_twice(folder: Path) -> None:
    """Duplicate a run."""
    table = pl.read_csv(folder / "accuracies.csv")
    pl.concat([table, table[:1]]).write_csv(folder / "accuracies.csv")


def spoil_models(folder: Path) -> None:
    """Remove a model."""
    pl.read_csv(folder / "models.csv")[1:].write_csv(folder / "models.csv")


def spoil_column(folder: Path) -> None:
    """Rename a column."""
    pl.read_csv(folder / "models.csv").rename({"gmacs": "flops"}).write_csv(folder / "models.csv")


def spoil_file(folder: Path) -> None:
    """Remove a file."""
    (folder / "accuracies.csv").unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_accuracy, "144 accuracies are not between 0 and 1"),
        (spoil_twice, "mini_a on flowers, seed 0, occurs twice"),
        (spoil_models, "model 'mini_a' is not in models.csv"),
        (spoil_column, "no column gmacs"),
        (spoil_file, r"accuracies.csv: cannot be read"),
    ],
)
def test_invalid_measurements_are_errors(spoil: Callable[[Path], None], message: str, measured_folder: Measure) -> None:
    folder = measured_folder()
    spoil(folder)
    with pytest.raises(DataError, match=message):
        read_measurements(folder)
