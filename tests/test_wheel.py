"""The wheel works in a clean environment, outside the repository and without a parameter file."""

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from itm.data.sources.parse import parse_source
from itm.store.layout import Store
from tests.api.examples import examples

ROOT = Path(__file__).resolve().parents[1]
TORCH = "torch==2.13.0"

pytestmark = [pytest.mark.slow, pytest.mark.servers]


class Environment:
    """A virtual environment with an empty folder to work in."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.here = folder / "venv" / "bin", folder / "here"
        self.here.mkdir()
        own = {"PYTHONPATH", "VIRTUAL_ENV"}  # what would lead back to the environment of the tests
        self.variables = {name: value for name, value in os.environ.items() if name not in own}
        self.variables |= {"PIP_CONSTRAINT": str(ROOT / "constraints.txt"), "PATH": f"{self.bin}:/usr/bin:/bin"}
        subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)

    def pip(self, *words: str) -> None:
        """Run pip, and fail with what it said."""
        done = self.run("python", "-m", "pip", "--disable-pip-version-check", *words)
        assert done.returncode == 0, done.stdout + done.stderr

    def run(self, command: str, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of the environment in the empty folder."""
        return subprocess.run(
            [self.bin / command, *words], cwd=self.here, env=self.variables, capture_output=True, text=True, check=False
        )


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Return an environment with the built wheel and what it depends on."""
    folder = tmp_path_factory.mktemp("wheel")
    found = Environment(folder)
    found.pip("wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    (wheel,) = folder.glob("itm_rank-*.whl")
    found.pip("install", "--no-compile", TORCH, str(wheel))
    return found


@pytest.fixture(scope="module")
def content(environment: Environment) -> set[str]:
    """Return the names of the files in the wheel."""
    (wheel,) = environment.here.parent.glob("itm_rank-*.whl")
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_the_library_and_the_embedded_zoo(content):
    assert {name.split("/")[0] for name in content} == {"itm", "itm_rank-0.1.0.dist-info"}
    zoo = {path.name for path in (ROOT / "data" / "zoo").iterdir() if path.suffix in (".yaml", ".safetensors")}
    assert {name.rpartition("/")[2] for name in content if name.startswith("itm/zoo/embedded/")} == zoo
    assert "itm_rank-0.1.0.dist-info/licenses/LICENSE" in content
    assert {"itm/py.typed", "itm/report/page.css", "itm/report/page.js"} <= content


def test_help_is_printed(environment):
    done = environment.run("itm", "--help")
    assert done.returncode == 0, done.stderr
    assert " rank " in done.stdout


@pytest.mark.parametrize("zoo", [(), ("--zoo", "tiny")])
def test_the_embedded_zoo_is_ranked_without_any_file(zoo, environment):
    done = environment.run("itm", "rank", "digits", *zoo, "--max-images", "60", "--score", "knn")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "mini_resnet18.supervised" in done.stdout
    assert ("no model is named: ranking the embedded zoo" in done.stderr) is (not zoo)
    assert "The pipeline needs prefect, mlflow, dvc; run pip install 'itm-rank[pipeline]'" in done.stderr
    assert (environment.here / "data" / "rankings").is_dir()


def test_models_of_timm_are_listed(environment):
    done = environment.run("itm", "models", "resnet*")
    assert done.returncode == 0, done.stderr
    assert "resnet50.a1_in1k" in done.stdout


def test_the_python_example_of_the_readme_runs(environment):
    drawn = parse_source("synthetic:shapes?images=60").source.list(Store(environment.here / "drawn"))
    Path(drawn.rows[0].path).parents[1].rename(environment.here / "pictures")
    (example,) = examples("README.md")
    done = environment.run("python", "-c", example)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("For pictures, ")
    assert (environment.here / "ranking.png").is_file()


def test_a_refresh_names_the_extra(environment):
    done = environment.run("itm", "refresh")
    assert done.returncode == 2
    assert done.stderr.startswith("error: `itm refresh` needs prefect, mlflow, dvc; run pip install 'itm-rank[pipeline]'.")
    assert "Traceback" not in done.stderr
