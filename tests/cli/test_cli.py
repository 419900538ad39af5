"""The commands as their users type them: what they print, the status they leave with, and one line for a mistake."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from itm.cli.commands import app
from itm.store.files import read_json, read_table
from itm.store.layout import Store

LONG, SHORT = "test_resnet.drawn_long", "test_resnet.drawn_short"
SOURCE = "synthetic:shapes?images=60"
NAME = "shapes-images60"
HEAVY = {
    "torch",
    "torchvision",
    "timm",
    "polars",
    "pyarrow",
    "numpy",
    "scipy",
    "sklearn",
    "pydantic",
    "prefect",
    "mlflow",
    "dvc",
}

Run = Callable[..., Result]

pytestmark = [pytest.mark.usefixtures("own_logger"), pytest.mark.slow]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zoo_file: Path) -> Path:
    """Stand in a folder with a params.yaml of a small ranking by the library alone."""
    params = {
        "data": {"sets": [SOURCE]},
        "zoo": {"file": str(zoo_file), "models": [LONG, SHORT]},
        "score": {"names": ["knn", "logme"], "rank_by": "knn"},
        "runner": {"kind": "inline"},
        "track": {"uri": None},
        "store": "kept",
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(here: Path) -> Run:
    """Call a command in that folder, and check its exit status."""

    def call(*words: str, status: int = 0) -> Result:
        result = CliRunner().invoke(app, words, catch_exceptions=False)
        assert result.exit_code == status, result.output
        return result

    assert here.is_dir()
    return call


def test_help_answers_without_a_heavy_import():
    command = [sys.executable, "-X", "importtime", Path(sys.executable).parent / "itm", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    commands = ("rank", "ingest", "extract", "score", "report", "show", "rankings", "models", "scores", "doctor")
    for name in (*commands, "ablate", "benchmark", "evaluate", "finetune", "refresh", "serve", "status"):
        assert f" {name} " in done.stdout
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "typer" in imported
    assert not imported & HEAVY


def test_rank_prints_a_table_and_says_where_everything_is(run, here):
    printed = run("rank")
    assert all(word in printed.stdout for word in (NAME, LONG, SHORT, "knn", "page: kept/reports/index.html"))
    store = Store(here / "kept")
    assert set(read_table(store.scores)["score"]) == {"knn", "logme"}
    assert run("show").stdout == printed.stdout
    page = store.reports / "index.html"
    page.unlink()
    assert run("report").stdout == "page: kept/reports/index.html\n"
    assert page.is_file()


def test_a_data_set_on_the_command_line_has_a_ranking_of_its_own(run, here):
    printed = run("rank", f"mine={SOURCE}", "--score", "logme", "-m", SHORT, "--max-images", "50", "--batch-size", "7")
    assert LONG not in printed.stdout
    assert "logme, 95 %" in printed.stdout
    (results,) = (here / "kept" / "rankings").iterdir()
    assert results.name.startswith("mine-")
    ranking = read_json(results / "scores" / "ranking.json")
    (data,) = ranking["data_sets"]
    assert (data["rank_by"], data["images"]) == ("logme", 50)
    assert not (here / "kept" / "scores").exists()
    assert run("show", "mine").stdout == run("show", results.name).stdout == printed.stdout
    assert f"there is no ranking 'yours'; `itm rankings` lists them: {results.name}." in run("show", "yours", status=2).stderr
    assert "there is no ranking yet; run `itm rank` first" in run("show", status=2).stderr


def test_steps_can_be_called_one_by_one(run, here):
    counted = f"{NAME}: 60 images, 10 classes, rejected: none -> kept/indexes/{NAME}.parquet"
    assert run("ingest").stdout.splitlines() == [counted]
    extracted = run("extract").stdout.splitlines()
    assert [line.partition(":")[0] for line in extracted] == [f"{LONG} on {NAME}", f"{SHORT} on {NAME}"]
    assert all(": 50 rows (" in line and "images/s) -> kept/cache/features/" in line for line in extracted)
    assert all("(cached)" in line for line in run("extract").stdout.splitlines())
    scored = run("score", "--score", "knn", "-m", SHORT).stdout
    assert scored.startswith(f"{SHORT} on {NAME}: knn 0.")
    assert run("score", "--score", "knn", "-m", SHORT).stdout == re.sub(r"\(.*? s\)", "(cached)", scored)
    assert len(list((here / "kept" / "cache" / "features").rglob("*.parquet"))) == 2


def test_a_failure_leaves_with_status_one(run, here):
    wrong = ("-m", SHORT, "-m", "test_resnett")
    for command in ("rank", "extract", "score"):
        result = run(command, SOURCE, *wrong, status=1)
        assert SHORT in result.stdout
        assert "did you mean 'test_resnet'" in result.output
    assert "test_resnett" in run("rank", SOURCE, *wrong, "--allow-failures").stdout
    (here / "empty").mkdir()
    assert "is empty; put the images of each class" in run("ingest", "folder:empty", SOURCE, status=1).stderr
    assert run("rank", "folder:empty", status=1).stdout.count("is empty; put the images") >= 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("rank", "--precision", "fp64"), "error: --precision: must be 'auto', 'fp32' or 'bf16' (got 'fp64')."),
        (
            ("rank", "--by", "itm"),
            "error: options: score: rank_by is 'itm', which is not among the scores computed: knn, logme",
        ),
        (("rank", "--score", "knm"), "error: no score 'knm'; did you mean 'knn'"),
        (("rank", "foldr:x"), "error: 'foldr:x': unknown kind of source 'foldr'; did you mean 'folder'?"),
        (("rank", "digits", "digits"), "error: digits and digits are both named 'digits'"),
        (("rank", "--zoo", "nowhere.yaml"), "error: nowhere.yaml: cannot be read (No such file or directory); check the path."),
        (
            ("rank", "--params", "nowhere.yaml"),
            "error: nowhere.yaml: cannot be read (No such file or directory); check the path.",
        ),
        (("rank", "--device", "cuda:9"), "error: extract.device is 'cuda:9', which cannot be used here"),
        (
            ("extract", "--resume", "maybe"),
            "error: --resume: must be 'always', 'only-missing' or 'only-cache' (got 'maybe').",
        ),
        (("ingest", "--max-images", "1"), "error: --max-images: must be 2 or more, or 0 for all (got 1)."),
        (("show",), "there is no ranking yet; run `itm rank` first."),
        (("report", "digits"), "there is no ranking 'digits'; `itm rankings` lists them: none so far."),
        (("models", "nothing*"), "error: no pre-trained model of timm matches 'nothing*'"),
    ],
)
def test_a_mistake_is_one_line_and_status_two(run, words, message):
    result = run(*words, status=2)
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert message in line


def test_two_mistakes_are_two_lines(run, here):
    (here / "params.yaml").write_text("runner: {worker: 2}\nextract: {batch: 1}\n")
    lines = run("rank", status=2).stderr.splitlines()
    assert [line.partition("unknown key ")[2].partition(";")[0] for line in lines] == ["'extract.batch'", "'runner.worker'"]


def test_models_lists_the_zoo_file_and_timm(run, zoo_file):
    listed = run("models", "test_resnet*").stdout
    assert listed == run("models", "test_resnet*", "--zoo", str(zoo_file)).stdout
    header, *lines = listed.splitlines()
    assert [line.split()[0] for line in lines] == [LONG, SHORT, "test_resnet.r160_in1k"]
    assert all(word in header for word in ("M parameters", "GMACs", "width", "pixels", "top-1", "licence", "weights", "family"))
    assert all(word in lines[0] for word in ("48", "unknown", "file", "12 epochs", "resnet"))
    assert all(word in lines[2] for word in ("160", "apache-2.0", "r160 in1k"))


def test_models_lists_a_zoo_of_the_package_by_its_name(run):
    _, *lines = run("models", "--zoo", "edge", "--max-params", "3M", "--sort", "gmacs").stdout.splitlines()
    costs = [float(line.split()[2]) for line in lines]
    assert costs == sorted(costs)
    assert "lcnet_050.ra2_in1k" in [line.split()[0] for line in lines]
    assert not any("resnet18" in line for line in lines)


def test_models_says_which_entries_cannot_be_used(run, here):
    (here / "zoo.yaml").write_text("models: [{name: test_mine, architecture: test_vit, checkpoint: gone.safetensors}]\n")
    assert "test_mine: cannot be used: " in run("models", "test_mine", "--zoo", "zoo.yaml").stdout


def test_scores_says_what_every_score_means(run):
    printed = " ".join(run("scores").stdout.split())
    for word in ("itm", "itm_eta0", "logme", "knn", "linear_probe", "0 to 1", "Higher is better"):
        assert word in printed


def test_doctor_checks_what_a_ranking_needs(run, here):
    printed = run("doctor").stdout
    for line in ("ok   torch: ", "ok   torchvision and timm: load", "ok   devices: ", "note store: kept does not exist yet"):
        assert line in printed
    assert f"ok   {SHORT}: weights " in printed
    assert "ok   tracking: is off" in printed
    assert not (here / "kept").exists()


def test_doctor_names_a_missing_checkpoint(run, here):
    (here / "zoo.yaml").write_text("models: [{name: mine, architecture: test_vit, checkpoint: gone.safetensors}]\n")
    (line,) = [line for line in run("doctor", "--zoo", "zoo.yaml", status=1).stdout.splitlines() if line.startswith("FAIL")]
    assert line.startswith("FAIL mine: ")
    assert "gone.safetensors is not a file" in line
