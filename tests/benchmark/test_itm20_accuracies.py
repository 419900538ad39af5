"""Published accuracies are read strictly, and scores compared with them to the last failed model."""

import re
from pathlib import Path

import pytest
from scipy import stats

from itm.benchmark.itm20.accuracies import ELSEWHERE, compare, read_accuracies
from itm.benchmark.itm20.pool import CHECKPOINTS, DATA_SETS
from itm.core.errors import ParamsError
from itm.core.rankings import DataRanking, Estimate, RankedModel, Ranking, ScoreFacts
from itm.core.types import Failure


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model,dataset,accuracy\nresnet18,dtd,1\n", "no column 'accuracy_percent'; did you mean 'accuracy'"),
        ("model,dataset,accuracy_percent\nresnet19,dtd,1\n", "holds no accuracy of itm_hub"),
        ("model,dataset,accuracy_percent\nresnet18,dtd,1\nresnet18,dtd,2\n", "resnet18 has two accuracies on dtd"),
        ("model,dataset,accuracy_percent\nresnet18,dtd,101\n", "resnet18 on dtd has the accuracy '101'"),
        ("model,dataset,accuracy_percent\nresnet18,dtd,\n", "must be a number from 0 to 100"),
    ],
)
def test_a_file_of_accuracies_is_read_strictly(tmp_path: Path, text: str, message: str) -> None:
    """A column, a value or a model that cannot be meant is an error that names it."""
    (path := tmp_path / "a.csv").write_text(text)
    with pytest.raises(ParamsError, match=re.escape(message)):
        read_accuracies(path)


def test_the_published_table_fits_the_definition() -> None:
    """Every accuracy of the second-hand copy has its checkpoint and data set here, 20 of one on 11 of the other."""
    path = Path(__file__).resolve().parents[3] / "shared" / "facts" / "teguide_sfda_vit_10x11_and_itm_20x11.csv"
    if not path.is_file():
        pytest.skip(f"{path.name} is not among the shared facts")
    found = read_accuracies(path)
    assert len(found) == 220
    assert {row for _, row in found} == {checkpoint.row for checkpoint in CHECKPOINTS}
    assert {data for data, _ in found} == {data.name for data in DATA_SETS}


def ranked(**values: float) -> RankedModel:
    """Return a model whose scores have these values; its name is among them."""
    name = str(values.pop("model"))
    scores = {score: Estimate(value, value, value, ()) for score, value in values.items()}
    return RankedModel(name, "ranked" if scores else "failed", scores=scores, failures=() if scores else (FAILED,))


FAILED = Failure("cifar10", "c", "extract", "no weights")


def test_a_failed_model_counts_as_last_and_the_control_sees_the_other_data_sets_alone() -> None:
    """A model without a value is last, not dropped; the control is the mean rank elsewhere; a dead data set has a reason."""
    models = (ranked(model="a", knn=0.9), ranked(model="b", knn=0.5), ranked(model="c"))
    dead = tuple(ranked(model=model) for model in "abc")
    ranking = Ranking(
        "knn",
        (
            DataRanking("cifar10", "", "", 9, (), {}, models),
            DataRanking("dtd", "", "", 0, (), {}, dead, reason="no such folder"),
        ),
        (ScoreFacts("knn", "", "", "", ""),),
        {},
    )
    cifar10, dtd, pets = (80.0, 70.0, 90.0), (1.0, 2.0, 3.0), (3.0, 2.0, 1.0)
    tables = {"cifar10": cifar10, "dtd": dtd, "pets": pets}
    accuracies = {(data, f"row_{m}"): v for data, row in tables.items() for m, v in zip("abc", row, strict=True)}
    table = compare(ranking, accuracies, {m: f"row_{m}" for m in "abc"})
    knn, elsewhere, lost, _ = table.iter_rows(named=True)
    assert (knn["failed"], knn["tied"], knn["regret"]) == (1, 0, 10)
    assert knn["tau_w"] == pytest.approx(stats.weightedtau(cifar10, [3, 2, 1]).statistic)
    assert knn["tau_w_by_truth"] == pytest.approx(stats.weightedtau(cifar10, [3, 2, 1], rank=None).statistic)
    assert elsewhere["score"] == ELSEWHERE
    assert elsewhere["tied"] == 3  # dtd and pets say the opposite of each other
    assert (lost["tau_w"], lost["reason"]) == (None, "no such folder")
