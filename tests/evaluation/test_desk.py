"""The desk benchmark: from measured tables to how every contender stands, written where `itm evaluate` says."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from itm.benchmark.contenders import contenders, mean_rank_elsewhere
from itm.benchmark.desk import run
from itm.benchmark.measured import read_measured
from itm.benchmark.standings import PoolStandings, Standing, standings
from itm.benchmark.standings_table import markdown
from itm.core.errors import DataError
from itm.core.params import Params
from itm.core.sections import EvaluateParams
from itm.store.layout import Store

Measure = Callable[..., Path]


def by_name(pool: PoolStandings) -> dict[str, Standing]:
    """Return the standings of a pool by the contenders' names."""
    return {one.name: one for one in pool.standings}


def test_a_score_that_is_the_truth_is_perfect(measured_folder: Measure) -> None:
    """A score equal to the accuracies agrees fully, costs nothing, always hits, and is no better than an ITM that is too."""
    found = by_name(standings("all", read_measured(measured_folder()), draws=100, seed=0))
    knn = found["knn"]
    assert (knn.tau.mean, knn.tau.low, knn.worst) == pytest.approx((1, 1, 1))
    assert (knn.regret, knn.top1, knn.top3) == (0, 1, 1)
    assert knn.against_itm is not None
    assert (knn.against_itm.mean, knn.against_itm.low, knn.against_itm.high) == (0, 0, 0)
    assert found["itm"].against_itm is None


def test_regret_is_in_points(measured_folder: Measure) -> None:
    """A score that puts the best model last and the worst first loses the whole range of accuracies, in per cent."""
    truth = read_measured(measured_folder()).truth
    found = by_name(standings("all", read_measured(measured_folder(backwards=-truth)), draws=100, seed=0))["backwards"]
    assert found.regret == pytest.approx(np.mean(truth.max(1) - truth.min(1)))
    assert found.tau.mean == pytest.approx(-1)


def test_failures_come_last(measured_folder: Measure) -> None:
    """A perfect score that fails on the best model of every set misses it, and says how often it failed."""
    truth = read_measured(measured_folder()).truth
    holes = np.where(truth == truth.max(1, keepdims=True), np.nan, truth)
    found = by_name(standings("all", read_measured(measured_folder(holes=holes)), draws=100, seed=0))["holes"]
    assert (found.failed, found.top1) == (3, 0)
    assert found.tau.mean < 0.8


def test_every_table_has_its_controls_and_ceilings(measured_folder: Measure) -> None:
    """Size, cost, ImageNet accuracy, chance, the other data sets and the two ceilings stand beside every score."""
    found = by_name(standings("all", read_measured(measured_folder(noise=0.1)), draws=100, seed=0))
    kinds = {name: one.kind for name, one in found.items()}
    assert kinds == {"itm": "score"} | dict.fromkeys(
        ("knn", "parameters", "gmacs", "imagenet_top1", "random", "mean_rank_elsewhere"), "control"
    ) | dict.fromkeys(("other_seed", "head_only"), "ceiling")
    assert found["other_seed"].tau.mean == found["head_only"].tau.mean == pytest.approx(1)
    assert found["imagenet_top1"].failed == 8 * 3


def test_random_orders_are_worth_nothing(measured_folder: Measure) -> None:
    """Chance has a mean tau_w of nought, one hit in twelve, and passes the upper end of its interval once in forty."""
    pool = standings("all", read_measured(measured_folder()), draws=400, seed=0)
    random = by_name(pool)["random"]
    assert random.tau.mean == pytest.approx(0, abs=0.05)
    assert random.top1 == pytest.approx(1 / 12, abs=0.03)
    assert -random.tau.low == pytest.approx(random.tau.high, abs=0.08)
    assert 0 < pool.chance < random.tau.high


def test_sub_pools_only_where_there_are_more_models(measured_folder: Measure) -> None:
    """Twelve models have sub-pools of ten; the eight of one pool have none."""
    measured = read_measured(measured_folder())
    whole, mini = (standings("one", own, draws=100, seed=0) for own in (measured, measured.of("mini")))
    assert by_name(whole)["itm"].sub_pools is not None
    assert by_name(mini)["itm"].sub_pools is None
    assert (len(whole.models), len(mini.models)) == (12, 8)


def test_a_set_that_is_not_measured_on_every_model_is_left_out(measured_folder: Measure) -> None:
    """Models are compared on the same data sets; one that lacks an accuracy of theirs is left out of their pool, and named."""
    folder = measured_folder()
    table = pl.read_csv(folder / "accuracies.csv")
    missing = (pl.col("model") == "real_a") & (pl.col("data") == "letters")
    table.filter(~missing).write_csv(folder / "accuracies.csv")
    measured = read_measured(folder)
    whole, mini = (standings("one", own, draws=100, seed=0) for own in (measured, measured.of("mini")))
    assert (whole.sets, whole.left_out) == (("flowers", "tiles"), ("letters",))
    assert (mini.sets, mini.left_out) == (("flowers", "letters", "tiles"), ())
    table.filter(pl.col("model") != "real_a").write_csv(folder / "accuracies.csv")
    with pytest.raises(DataError, match="no data set has accuracies of all 12 models"):
        standings("one", read_measured(folder), draws=100, seed=0)


def test_mean_rank_elsewhere_never_looks_at_the_set() -> None:
    """What a model does on a set changes its value on the others alone."""
    truth = np.array([[3.0, 1.0, 2.0], [3.0, 2.0, 1.0], [1.0, 2.0, 3.0]])
    assert mean_rank_elsewhere(truth)[0].tolist() == [2.0, 2.0, 2.0]
    changed = truth.copy()
    changed[0] = [1.0, 2.0, 3.0]
    assert mean_rank_elsewhere(changed)[0].tolist() == mean_rank_elsewhere(truth)[0].tolist()
    assert mean_rank_elsewhere(changed)[1].tolist() != mean_rank_elsewhere(truth)[1].tolist()


def test_pooled_scores_are_made_again_in_each_pool(measured_folder: Measure) -> None:
    """ETran stretches its terms over the models at hand, so a pool of some models has other values than all of them."""
    generator = np.random.default_rng(0)
    terms = {name: generator.normal(size=(3, 12)) for name in ("energy", "lda")}
    measured = read_measured(measured_folder(**terms, etran=np.zeros((3, 12))))
    whole = next(one for one in contenders(measured) if one.name == "etran").values[:, :8]
    mini = next(one for one in contenders(measured.of("mini")) if one.name == "etran").values
    assert mini.min() >= 0
    assert mini.max() <= 1
    assert not np.allclose(whole, mini)


def test_run_writes_the_evaluation(measured_folder: Measure, store: Store) -> None:
    """The evaluation is a page, a summary, tables and a picture a pool; written twice it is the same."""
    params = Params(evaluate=EvaluateParams(measured=measured_folder(noise=0.1), draws=100))
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
    assert table["tau_w"][0] == pytest.approx(by_name(pools[0])["itm"].by_set[0])
    assert before["table.md"].decode() == "\n".join(markdown(pool) for pool in pools)
    run(params, store)
    assert {path.name: path.read_bytes() for path in store.evaluation.iterdir()} == before


def spoil_accuracy(folder: Path) -> None:
    """Write an accuracy in per cent."""
    table = pl.read_csv(folder / "accuracies.csv")
    table.with_columns(pl.col("test_accuracy") * 100).write_csv(folder / "accuracies.csv")


def spoil_twice(folder: Path) -> None:
    """Write a run twice."""
    table = pl.read_csv(folder / "accuracies.csv")
    pl.concat([table, table[:1]]).write_csv(folder / "accuracies.csv")


def spoil_models(folder: Path) -> None:
    """Forget a model."""
    pl.read_csv(folder / "models.csv")[1:].write_csv(folder / "models.csv")


def spoil_column(folder: Path) -> None:
    """Rename a column."""
    pl.read_csv(folder / "models.csv").rename({"gmacs": "flops"}).write_csv(folder / "models.csv")


def spoil_file(folder: Path) -> None:
    """Remove a file."""
    (folder / "accuracies.csv").unlink()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (spoil_accuracy, "144 accuracies are not between 0 and 1"),
        (spoil_twice, "mini_a on flowers, seed 0, is there twice"),
        (spoil_models, "model 'mini_a' is not in models.csv"),
        (spoil_column, "no column gmacs"),
        (spoil_file, r"accuracies.csv: cannot be read"),
    ],
)
def test_measurements_that_cannot_be_used(spoil: Callable[[Path], None], told: str, measured_folder: Measure) -> None:
    """Measurements that are damaged or incomplete say what is wrong with which file."""
    folder = measured_folder()
    spoil(folder)
    with pytest.raises(DataError, match=told):
        read_measured(folder)
