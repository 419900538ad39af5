"""The table of the ITM paper as a command: what it says is missing, runs on and compares. No test leaves this machine."""

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import numpy as np
import polars as pl
import pytest
import torch
import typer
from click.testing import Result
from safetensors.torch import save_file
from scipy import stats
from typer.testing import CliRunner

from itm.agreement import worst_case
from itm.benchmark.accuracies import ELSEWHERE, compare, read_accuracies
from itm.benchmark.in_place import look_at_weights, own_file
from itm.benchmark.itm20 import CHECKPOINTS, DATA_SETS, checkpoints
from itm.benchmark.run import FACTORIES
from itm.cli_benchmark import benchmark
from itm.data.made import MadeSet, draw
from itm.errors import ParamsError
from itm.store import read_table
from itm.types import DataRanking, Estimate, Failure, ModelRef, RankedModel, Ranking, ScoreFacts
from itm.zoo.factory import load_factory
from itm.zoo.load import build
from itm.zoo.timm_gate import import_torchvision, timm
from itm.zoo.timm_names import timm_config

Run = Callable[..., Result]
POOL = ("mnasnet1_0", "mobilenet_v2", "resnet18")
REVISION = "0" * 40
published = import_torchvision().models

pytestmark = pytest.mark.usefixtures("own_logger")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty folder, with empty caches of weights and no network."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(here: Path) -> Run:
    """Call the command in that folder, and check its exit status."""
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(benchmark)

    def call(*words: str, status: int = 0) -> Result:
        result = CliRunner().invoke(app, words, catch_exceptions=False)
        assert result.exit_code == status, result.output
        return result

    assert here.is_dir()
    return call


@pytest.fixture
def weights(here: Path) -> None:
    """Lay random weights of three checkpoints where their published ones would lie after a download."""
    torch.manual_seed(0)
    kept = here / "torch" / "hub" / "checkpoints"
    kept.mkdir(parents=True)
    torch.save(published.mobilenet_v2(weights=None).state_dict(), kept / "mobilenet_v2-b0353104.pth")
    torch.save(published.mnasnet1_0(weights=None).state_dict(), kept / "mnasnet1.0_top1_73.512-f206786ef8.pth")
    folder = here / "hub" / "models--timm--resnet18.tv_in1k"
    (folder / "snapshots" / REVISION).mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(REVISION)
    save_file(timm.create_model("resnet18").state_dict(), folder / "snapshots" / REVISION / "model.safetensors")


@pytest.fixture
def data(here: Path) -> Path:
    """Draw two small data sets with as many classes as CIFAR-10, a folder, and PASCAL VOC 2007, an index."""
    root = here / "sets"
    index = []
    for family in ("shapes", "textures"):
        for name, number, image in islice(draw(MadeSet(family, images=30)), 30):
            (folder := root / "voc" / name).mkdir(parents=True, exist_ok=True)
            image.save(folder / f"{number}.png")
            index.append({"path": f"voc/{name}/{number}.png", "label": name})
            if family == "shapes":
                (folder := root / "cifar10" / name).mkdir(parents=True, exist_ok=True)
                image.save(folder / f"{number}.png")
    pl.DataFrame(index).write_csv(root / "voc2007.csv")
    return root


def write_accuracies(path: Path, accuracies: dict[str, tuple[float, ...]]) -> Path:
    """Write accuracies of the three checkpoints as the second-hand table has them, among those of another table."""
    own = [
        {"benchmark": "itm_hub", "model": model, "dataset": data, "accuracy_percent": value}
        for data, values in accuracies.items()
        for model, value in zip(POOL, values, strict=True)
    ]
    other = {"benchmark": "sfda_vit", "model": "resnet18", "dataset": "cifar10", "accuracy_percent": 1.0}
    pl.DataFrame([*own, other]).write_csv(path)
    return path


@pytest.mark.slow
@pytest.mark.usefixtures("weights")
def test_what_is_in_place_is_ranked_and_compared(run: Run, here: Path, data: Path) -> None:
    """Of three checkpoints on two data sets, each score agrees as its own values do, and doubtful identities are named."""
    truth = {"cifar10": (90.0, 80.0, 95.0), "voc2007": (70.0, 80.0, 60.0), "dtd": (50.0, 60.0, 70.0)}
    file = write_accuracies(here / "accuracies.csv", truth)
    chosen = [word for row in (*POOL, "resnet50") for word in ("-m", row)]
    words = ("itm20", "--data-root", str(data), "--accuracies", str(file), "--score", "parameters", "--score", "knn", *chosen)
    printed = run(*words).stdout
    assert "itm20: 3 of 4 checkpoints and 2 of 11 data sets in place" in printed
    assert re.search(r"cifar10 +CIFAR-10 +10 classes, 30 of 60,000 images", printed)
    assert "Without weights here and left out: resnet50." in printed
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
    scores = read_table(results / "scores" / "scores.parquet").filter(pl.col("draw").is_null(), score="knn", data="voc2007")
    values = dict(scores.select("model", "value").iter_rows())
    assert set(values) == {"mnasnet1_0.torchvision_v1", "mobilenet_v2.torchvision_v1", "resnet18.tv_in1k"}
    accuracies, by_row = np.array(truth["voc2007"]), np.array([values[name] for name in sorted(values)])
    tau = stats.weightedtau(accuracies, worst_case(accuracies, by_row).ranks).statistic
    assert found["knn", "voc2007"]["tau_w"] == pytest.approx(tau)
    assert f"again: itm show {results.name}" in printed


@pytest.mark.usefixtures("weights")
def test_without_accuracies_nothing_is_compared(run: Run, here: Path, data: Path) -> None:
    """Without a file of accuracies the pool is extracted and scored, and the command says that nothing is compared."""
    (data / "voc2007.csv").unlink()
    chosen = ("-m", "mobile*", "-m", "resnet18", "--score", "parameters")
    printed = run("itm20", "--data-root", str(data), *chosen).stdout
    assert "Nothing is compared" in printed
    assert "tau_w" not in printed
    (results,) = (here / "data" / "rankings").iterdir()
    assert not (results / "benchmark" / "agreement.parquet").exists()


def test_what_is_missing_is_said_with_what_to_do(run: Run, here: Path) -> None:
    """Without any file every checkpoint and data set is listed with what to do, and the command leaves with status 2."""
    result = run("itm20", "--data-root", "sets", status=2)
    assert "itm20: 0 of 20 checkpoints and 0 of 11 data sets in place" in result.stdout
    for one in (*(checkpoint.name for checkpoint in CHECKPOINTS), *(data.published for data in DATA_SETS)):
        assert one in result.stdout
    for todo in (
        "A data set is a folder of its name below sets with a sub-folder a class",
        "missing: `hf download timm/resnet50.tv_in1k`",
        "missing: fetch https://download.pytorch.org/models/googlenet-1378be20.pth",
        "missing: get simmim_pretrain__vit_base__img224__800ep.pth from https://github.com/microsoft/SimMIM",
        f"others in torch's ({here}/torch/hub/checkpoints, by TORCH_HOME)",
    ):
        assert todo in result.stdout
    assert "error: itm20 needs a data set and two checkpoints, and has 0 and 0" in result.stderr
    assert not (here / "data").exists()


@pytest.mark.usefixtures("weights")
def test_a_folder_with_other_classes_is_not_used(run: Run, data: Path) -> None:
    """A folder whose number of classes is not the data set's own is said and left out; a single checkpoint is no pool."""
    (data / "dtd" / "one").mkdir(parents=True)
    result = run("itm20", "--data-root", str(data), "-m", "resnet18", status=2)
    assert f"folder:{data}/dtd has 1 classes, not 47; check that it is Describable Textures (DTD)" in result.stdout
    assert "1 of 1 checkpoints and 2 of 11 data sets in place" in result.stdout
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
def test_mistakes_are_one_line(run: Run, words: tuple[str, ...], message: str) -> None:
    """An unknown benchmark, row or score, and a file that is not there, end in one line and status 2."""
    assert message in run(*words, "--data-root", "sets", status=2).stderr


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


def test_a_file_with_an_address_is_fetched_where_there_is_a_network(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that timm does not have is fetched once from its address; one that cannot be had leaves its checkpoint out."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    (one,) = checkpoints(["googlenet"])
    (here / one.file).write_bytes(b"weights")
    there, gone = (replace(one, published=f"{folder.as_uri()}/{one.file}") for folder in (here, here / "gone"))
    (waiting,) = look_at_weights([there], fetch=False)
    assert (waiting.place, own_file(one).exists()) == (None, False)
    (lost,) = look_at_weights([gone], fetch=True)
    assert (lost.place, lost.state) == (None, f"missing: fetch {gone.published}")
    (found,) = look_at_weights([there], fetch=True)
    assert found.place == str(own_file(one))
    assert own_file(one).read_bytes() == b"weights"
    assert look_at_weights([gone], fetch=True) == (found,)


def test_names_are_distinct_and_known_to_timm() -> None:
    """Each row has one checkpoint of its own, which timm has or a factory makes; the uncertain ones say why."""
    assert len({checkpoint.name for checkpoint in CHECKPOINTS}) == len(checkpoints(["*"])) == 20
    for checkpoint in CHECKPOINTS:
        if checkpoint.factory:
            assert callable(load_factory(f"{FACTORIES}:{checkpoint.factory}"))
        else:
            assert timm_config(checkpoint.name)["hf_hub_id"] == f"timm/{checkpoint.name}"
        assert checkpoint.certain or checkpoint.note


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


@pytest.mark.parametrize("name", ["googlenet", "mnasnet1_0", "mobilenet_v2"])
def test_torchvisions_networks_are_its_own(tmp_path: Path, name: str) -> None:
    """Read from a file as torchvision publishes it, auxiliary heads and all, a network gives torchvision's own logits."""
    torch.manual_seed(0)
    images = torch.randn(1, 3, 64, 64)
    network = getattr(published, name)(weights=None, **({"init_weights": False} if name == "googlenet" else {})).eval()
    torch.save(network.state_dict(), tmp_path / "saved.pth")
    module: Any = build(ModelRef(name, factory=f"{FACTORIES}:{name}", checkpoint=tmp_path / "saved.pth"))
    with torch.inference_mode():
        assert torch.equal(module.forward_head(module.forward_features(images)), network(images))


@pytest.mark.parametrize("name", ["mocov3_vitb16", "simmim_vitb16"])
def test_self_supervised_encoders_are_found_among_the_rest(name: str) -> None:
    """Every key of the encoder has its place in the file as it is published, beside all that only pre-training needs."""
    with torch.device("meta"):
        module = load_factory(f"{FACTORIES}:{name}")()
        assert isinstance(module, torch.nn.Module)
        if name == "mocov3_vitb16":
            own = timm.create_model("vit_base_patch16_224", num_classes=0).state_dict()
            state = {f"{part}.{key}": value for part in ("base_encoder", "momentum_encoder") for key, value in own.items()}
            others = ("base_encoder.head.0.weight", "momentum_encoder.head.0.weight", "predictor.0.weight")
        else:
            shared = {"use_rel_pos_bias": False, "use_shared_rel_pos_bias": True, "global_pool": "token"}
            own = timm.create_model("beit_base_patch16_224", num_classes=0, **shared).state_dict()
            state = {f"encoder.{key}": value for key, value in own.items()}
            others = ("encoder.mask_token", "encoder.rel_pos_bias.relative_position_index", "decoder.0.weight")
        result = module.load_state_dict(state | dict.fromkeys(others, torch.empty(1)), strict=False)
    assert (result.missing_keys, result.unexpected_keys) == ([], [])
