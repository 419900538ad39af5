"""What is optional is named with the extra that installs it when it is missing."""

import importlib.util
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from itm.cli import pipelines
from itm.cli.commands import app
from itm.core import extras
from itm.core.errors import ServerError
from itm.core.extras import EXTRAS, MissingExtraError, missing_packages, require
from itm.core.params import Params
from itm.run.executors import executor

ROOT = Path(__file__).resolve().parents[2]
PIPELINE = "prefect, mlflow, dvc; run pip install 'itm-rank[pipeline]'."
CLONE = "the flows, which are not in the wheel: in a clone of the repository, run pip install -e '.[pipeline]'"

Hide = Callable[..., None]


@pytest.fixture
def hide(monkeypatch: pytest.MonkeyPatch) -> Hide:
    """Return a function that makes packages look as if they were not installed."""

    def call(*names: str) -> None:
        def find_spec(name: str) -> object:
            return None if name in names else importlib.util.find_spec(name)

        def load() -> object:
            raise ModuleNotFoundError(f"No module named {names[-1]!r}", name=names[-1])

        monkeypatch.setattr(extras, "find_spec", find_spec)
        monkeypatch.setattr(pipelines, "find_spec", find_spec)
        monkeypatch.setattr(pipelines, "entry_points", lambda **_: [SimpleNamespace(load=load)])

    return call


def test_the_extras_are_those_of_the_project():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(EXTRAS) == set(declared) - {"dev"}


@pytest.mark.parametrize("extra", EXTRAS)
def test_every_extra_is_installed_for_the_tests(extra):
    assert missing_packages(extra) == []


def test_a_missing_extra_is_named(hide):
    hide("distributed")
    with pytest.raises(MissingExtraError, match=r"^X needs distributed; run pip install 'itm-rank\[dask\]'\.$"):
        require("dask", "X")


@pytest.mark.usefixtures("own_logger")
@pytest.mark.parametrize(
    ("missing", "message"),
    [
        (("prefect", "mlflow", "dvc"), PIPELINE),
        (("prefect", "mlflow", "dvc", "flows", "tasks"), f"{PIPELINE} It also needs {CLONE} instead."),
        (("flows", "tasks"), f"{CLONE}."),
    ],
)
def test_refresh_needs_the_pipeline(hide, tmp_path, monkeypatch, missing, message):
    monkeypatch.chdir(tmp_path)
    hide(*missing)
    result = CliRunner().invoke(app, ["refresh"])
    assert result.exit_code == 2
    assert result.stderr == f"error: `itm refresh` needs {message} {pipelines.WITHOUT}\n"


def test_a_ranking_runs_without_the_pipeline(hide, caplog):
    hide("prefect", "mlflow", "dvc")
    assert pipelines.find_pipeline("rank", Params()) is None
    assert caplog.messages == [f"running without Prefect and without MLflow tracking. The pipeline needs {PIPELINE}"]


def test_who_tracks_nothing_is_not_told_of_tracking(hide, caplog):
    hide("prefect", "mlflow", "dvc")
    assert pipelines.find_pipeline("rank", Params.model_validate({"track": {"uri": None}})) is None
    assert caplog.messages == []


def test_dask_needs_its_runner_in_the_pipeline(hide, monkeypatch):
    hide("prefect_dask")
    monkeypatch.setattr(pipelines, "entry_points", lambda **_: [SimpleNamespace(load=lambda: print)])
    with pytest.raises(MissingExtraError, match=r"runner\.kind 'dask' needs prefect_dask; run pip install 'itm-rank\[dask\]'"):
        pipelines.find_pipeline("rank", Params.model_validate({"runner": {"kind": "dask"}}))


def test_dask_runs_without_the_pipeline(hide):
    hide("prefect", "mlflow", "dvc")
    params = Params.model_validate({"runner": {"kind": "dask"}})
    assert pipelines.find_pipeline("rank", params) is None
    assert type(executor(params.runner)).__name__ == "Dask"


def test_an_error_within_a_flow_is_not_hidden(hide):
    hide("a_module_that_was_renamed")
    with pytest.raises(ModuleNotFoundError, match="a_module_that_was_renamed"):
        pipelines.find_pipeline("rank", Params())


@pytest.mark.parametrize("error", [RuntimeError("no home directory"), ValueError("2 validation errors"), ImportError("x")])
def test_a_ranking_runs_where_prefect_cannot_be_imported(monkeypatch, caplog, error):
    def load() -> object:
        raise error

    monkeypatch.setattr(pipelines, "entry_points", lambda **_: [SimpleNamespace(load=load)])
    assert pipelines.find_pipeline("rank", Params()) is None
    (message,) = caplog.messages
    assert f"Prefect cannot be imported ({type(error).__name__}: {error}); check the variables PREFECT_... and HOME" in message
    with pytest.raises(ServerError, match="Prefect cannot be imported"):
        pipelines.required_pipeline("refresh")
