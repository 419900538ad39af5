"""The command `itm benchmark itm20`."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import Result
from scipy import stats

from itm.agreement import worst_case
from itm.benchmark.itm20.accuracies import ELSEWHERE
from itm.benchmark.itm20.pool import CHECKPOINTS, DATA_SETS
from itm.store.files import read_table

Run = Callable[..., Result]
POOL = ("mnasnet1_0", "mobilenet_v2", "resnet18")

pytestmark = [pytest.mark.usefixtures("own_logger"), pytest.mark.slow]


def write_accuracies(path: Path, accuracies: dict[str, tuple[float, ...]]) -> Path:
    """Write accuracies of the three checkpoints, and one row of another benchmark."""
    own = [
        {"benchmark": "itm_hub", "model": model, "dataset": data, "accuracy_percent": value}
        for data, values in accuracies.items()
        for model, value in zip(POOL, values, strict=True)
    ]
    other = {"benchmark": "sfda_vit", "model": "resnet18", "dataset": "cifar10", "accuracy_percent": 1.0}
    pl.DataFrame([*own, other]).write_csv(path)
    return path


@pytest.mark.servers
@pytest.mark.slow
@pytest.mark.usefixtures("weights")
def test_available_checkpoints_are_ranked_and_compared(run: Run, here: Path, data: Path) -> None:
    truth = {"cifar10": (90.0, 80.0, 95.0), "voc2007": (70.0, 80.0, 60.0), "dtd": (50.0, 60.0, 70.0)}
    file = write_accuracies(here / "accuracies.csv", truth)
    chosen = [word for row in (*POOL, "resnet50") for word in ("-m", row)]
    words = ("itm20", "--data-root", str(data), "--accuracies", str(file), "--score", "parameters", "--score", "knn", *chosen)
    printed = run(*words).stdout
    assert "itm20: 3 of 4 checkpoints and 2 of 11 data sets are available" in printed
    assert re.search(r"cifar10 +CIFAR-10 +10 classes, 30 of 60,000 images", printed)
    assert "Left out, since their weights are not on this machine: resnet50." in printed
    assert "mobilenet_v2 = mobilenet_v2.torchvision_v1: torchvision has two" in printed
    assert "resnet50 = " not in printed
    (results,) = (here / "data" / "rankings").iterdir()
    table = read_table(results / "benchmark" / "agreement.parquet")
    found = {(row["score"], row["data"]): row for row in table.iter_rows(named=True)}
    assert {score for score, _ in found} == {"parameters", "knn", ELSEWHERE}
    assert found["parameters", "cifar10"]["tau_w"] == pytest.approx(1)  # 4.4, 3.5 and 11.7 million parameters
    assert found["parameters", "voc2007"]["tau_w"] == pytest.approx(-1)
    assert found["parameters", "voc2007"]["regret"] == 20
    assert {row["models"] for row in found.values()} == {3}
    scores = read_table(results / "scores" / "scores.parquet").filter(pl.col("fold").is_null(), score="knn", data="voc2007")
    values = dict(scores.select("model", "value").iter_rows())
    assert set(values) == {"mnasnet1_0.torchvision_v1", "mobilenet_v2.torchvision_v1", "resnet18.tv_in1k"}
    accuracies, by_row = np.array(truth["voc2007"]), np.array([values[name] for name in sorted(values)])
    tau = stats.weightedtau(accuracies, worst_case(accuracies, by_row).ranks).statistic
    assert found["knn", "voc2007"]["tau_w"] == pytest.approx(tau)
    assert f"again: itm show {results.name}" in printed


@pytest.mark.usefixtures("weights")
def test_without_accuracies_nothing_is_compared(run: Run, here: Path, data: Path) -> None:
    (data / "voc2007.csv").unlink()
    chosen = ("-m", "mobile*", "-m", "resnet18", "--score", "parameters")
    printed = run("itm20", "--data-root", str(data), *chosen).stdout
    assert "Nothing is compared" in printed
    assert "tau_w" not in printed
    (results,) = (here / "data" / "rankings").iterdir()
    assert not (results / "benchmark" / "agreement.parquet").exists()


def test_missing_files_are_listed_with_instructions(run: Run, here: Path) -> None:
    result = run("itm20", "--data-root", "sets", status=2)
    assert "itm20: 0 of 20 checkpoints and 0 of 11 data sets are available" in result.stdout
    for one in (*(checkpoint.name for checkpoint in CHECKPOINTS), *(data.published for data in DATA_SETS)):
        assert one in result.stdout
    for todo in (
        "A data set is a folder with its name in sets with one sub-folder per class",
        "missing: `hf download timm/resnet50.tv_in1k`",
        "missing: download https://download.pytorch.org/models/googlenet-1378be20.pth",
        "missing: get simmim_pretrain__vit_base__img224__800ep.pth from https://github.com/microsoft/SimMIM",
        f"others in the cache of torch ({here}/torch/hub/checkpoints, set by TORCH_HOME)",
    ):
        assert todo in result.stdout
    assert "error: itm20 needs a data set and two checkpoints, and has 0 and 0" in result.stderr
    assert not (here / "data").exists()


@pytest.mark.usefixtures("weights")
def test_data_set_with_other_classes_is_not_used(run: Run, data: Path) -> None:
    (data / "dtd" / "one").mkdir(parents=True)
    result = run("itm20", "--data-root", str(data), "-m", "resnet18", status=2)
    assert f"folder:{data}/dtd has 1 classes, not 47; check that it is Describable Textures (DTD)" in result.stdout
    assert "1 of 1 checkpoints and 2 of 11 data sets are available" in result.stdout
    assert "needs a data set and two checkpoints, and has 2 and 1" in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("itm2",), "error: no benchmark 'itm2'; did you mean 'itm20'?"),
        (("itm20", "-m", "resnet5"), "error: itm20 has no row 'resnet5'; did you mean 'resnet50'"),
        (("itm20", "--accuracies", "none.csv"), "error: none.csv: cannot be read as CSV"),
        (("itm20", "--score", "knm"), "error: no score 'knm'; did you mean 'knn'"),
    ],
)
def test_errors_are_one_line(run: Run, words: tuple[str, ...], message: str) -> None:
    assert message in run(*words, "--data-root", "sets", status=2).stderr
