"""Fine-tuning of tasks that are not classification: labels, one number and several."""

import numpy as np
import polars as pl
import pytest

from itm.core.sections import DataParams
from itm.core.types import Outcome
from itm.data.index import read_index
from itm.data.ingest import ingest
from itm.finetuning.accuracy import accuracy, chance_of_lead
from itm.finetuning.table import line, means, runs_table

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("source", "metric", "least"),
    [("synthetic:scenes?images=120&difficulty=0", "average_precision", 0.45), ("synthetic:angle?images=120", "r2", 0.2)],
)
def test_both_protocols_learn_and_are_measured_by_the_main_metric(run, store, resnet, source, metric, least) -> None:
    data = ingest(source, DataParams(), store)
    runs = run(resnet, data, learning_rates=(1e-4, 1e-2))
    assert [(one.protocol, one.metric) for one in runs] == [("full", metric), ("head", metric)]
    full, head = runs
    assert head.val_accuracy > least
    assert full.val_accuracy > head.val_accuracy - 0.2
    assert np.isfinite([one.test_loss for one in runs]).all()
    assert run(resnet, data, resume="only-cache", learning_rates=(1e-4, 1e-2)) == tuple(
        type(one)(**{name: getattr(one, name) for name in one.__dataclass_fields__} | {"cached": True}) for one in runs
    )
    outcome = Outcome(data.name, resnet.name, runs=runs)
    assert ("macro average precision" if metric == "average_precision" else "R²") in line(outcome)
    (row,) = means(runs_table([outcome])).filter(protocol="head").iter_rows(named=True)
    interval = accuracy(row["test_each"], row["test_images"], row["metric"])
    assert interval.low < head.test_accuracy < interval.high


def test_several_numbers_of_different_size_are_learnt_together(run, store, resnet, tmp_path) -> None:
    table = read_index(ingest("synthetic:angle?images=120&difficulty=0", DataParams(), store)).filter(status="ok")
    angle = table["target"].str.json_path_match("$['angle [°]']").cast(pl.Float64)
    table = pl.DataFrame({"path": table["path"], "large": 1000 * angle + 7e4, "small": -angle / 1e4})
    table.write_csv(tmp_path / "index.csv")
    root = table["path"][0].rpartition("/")[0]
    data = ingest(f"csv:{tmp_path}/index.csv?task=regression&target=large,small&root={root}", DataParams(), store)
    (head,) = run(resnet, data, protocols=("head",))
    assert head.val_accuracy > 0.2


def test_the_interval_of_r2_contains_what_other_images_give() -> None:
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(300):
        true = rng.normal(size=80)
        predicted = 0.8 * true + 0.2 * rng.normal(size=80)
        found = 1 - ((predicted - true) ** 2).sum() / ((true - true.mean()) ** 2).sum()
        interval = accuracy([found], 80, "r2")
        covered.append(interval.low <= 1 - 0.08 <= interval.high)  # the share in the limit of many images
    assert np.mean(covered) > 0.85
    assert accuracy([-0.5], 50, "r2").low < -0.5 < accuracy([-0.5], 50, "r2").high
    assert accuracy([1.0], 50, "r2").high == 1.0
    better, worse = accuracy([0.9], 100, "r2"), accuracy([0.5], 100, "r2")
    assert 0 < chance_of_lead(better, worse) < 0.4
