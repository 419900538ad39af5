"""Published accuracies are validated and compared with scores."""

import re
from pathlib import Path

import pytest
from scipy import stats

from itm.benchmark.itm20.accuracies import ELSEWHERE, compare, read_accuracies
from itm.benchmark.itm20.pool import CHECKPOINTS, DATA_SETS
from itm.core.errors import ParamsError
from itm.core.rankings import DataRanking, Estimate, MetricFacts, RankedModel, Ranking, ScoreFacts
from itm.core.types import Failure, TargetSpec


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model,dataset,accuracy\nresnet18,dtd,1\n", "no column 'accuracy_percent'; did you mean 'accuracy'"),
        ("model,dataset,accuracy_percent\nresnet19,dtd,1\n", "has no accuracy of itm_hub"),
        ("model,dataset,accuracy_percent\nresnet18,dtd,1\nresnet18,dtd,2\n", "resnet18 has two accuracies on dtd"),
        ("model,dataset,accuracy_percent\nresnet18,dtd,101\n", "resnet18 on dtd has the accuracy '101'"),
        ("model,dataset,accuracy_percent\nresnet18,dtd,\n", "must be a number from 0 to 100"),
    ],
)
def test_invalid_accuracies_are_errors(tmp_path: Path, text: str, message: str) -> None:
    (path := tmp_path / "a.csv").write_text(text)
    with pytest.raises(ParamsError, match=re.escape(message)):
        read_accuracies(path)


def test_published_table_matches_definition() -> None:
    path = Path(__file__).resolve().parents[4] / "shared" / "facts" / "teguide_sfda_vit_10x11_and_itm_20x11.csv"
    if not path.is_file():
        pytest.skip(f"{path.name} is not among the shared facts")
    found = read_accuracies(path)
    assert len(found) == 220
    assert {row for _, row in found} == {checkpoint.row for checkpoint in CHECKPOINTS}
    assert {data for data, _ in found} == {data.name for data in DATA_SETS}


def ranked(**values: float) -> RankedModel:
    """Return a model with these scores and this name."""
    name = str(values.pop("model"))
    scores = {score: Estimate(value, value, value, ()) for score, value in values.items()}
    return RankedModel(name, "ranked" if scores else "failed", scores=scores, failures=() if scores else (FAILED,))


FAILED = Failure("cifar10", "c", "extract", "no weights")


def test_compare_handles_failures_and_the_control() -> None:
    models = (ranked(model="a", knn=0.9), ranked(model="b", knn=0.5), ranked(model="c"))
    failed = tuple(ranked(model=model) for model in "abc")
    accuracy = MetricFacts("accuracy", "accuracy")
    ranking = Ranking(
        (
            DataRanking("cifar10", "", "", 9, TargetSpec(), accuracy, "knn", models),
            DataRanking("dtd", "", "", 0, TargetSpec(), accuracy, "knn", failed, reason="no such folder"),
        ),
        (ScoreFacts("knn", "", "", "", ""),),
        {},
    )
    cifar10, dtd, pets = (80.0, 70.0, 90.0), (1.0, 2.0, 3.0), (3.0, 2.0, 1.0)
    tables = {"cifar10": cifar10, "dtd": dtd, "pets": pets}
    accuracies = {(data, f"row_{m}"): v for data, row in tables.items() for m, v in zip("abc", row, strict=True)}
    table = compare(ranking, accuracies, {m: f"row_{m}" for m in "abc"})
    knn, elsewhere, without_data, _ = table.iter_rows(named=True)
    assert (knn["failed"], knn["tied"], knn["regret"]) == (1, 0, 10)
    assert knn["tau_w"] == pytest.approx(stats.weightedtau(cifar10, [3, 2, 1]).statistic)
    assert knn["tau_w_by_truth"] == pytest.approx(stats.weightedtau(cifar10, [3, 2, 1], rank=None).statistic)
    assert elsewhere["score"] == ELSEWHERE
    assert elsewhere["tied"] == 3  # dtd and pets have opposite orders
    assert (without_data["tau_w"], without_data["reason"]) == (None, "no such folder")
