"""What tests of several steps need: a store, a small drawn data set, and the embedded zoo."""

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
import yaml
from click.testing import Result
from hypothesis import settings
from typer.testing import CliRunner

from itm.core.sections import DataParams, ZooParams
from itm.core.types import DataRef, ModelRef, Preprocessing
from itm.data.ingest import ingest
from itm.store.layout import Store
from itm.zoo.resolve import resolve

settings.register_profile("here", database=None, deadline=None, derandomize=True)  # timings never decide a test
settings.load_profile("here")

TESTS = Path(__file__).resolve().parent
INTEGRATION = {"flows", "plugins", "postgres", "shared", "tasks"}  # folders of tests that start processes
PROGRAMS = ("python", "itm", "dvc", "git", "prefect", "mlflow", "dask")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that start processes as integration tests: by folder, by other markers, and by code that uses `subprocess`."""
    for item in items:
        in_folder = item.path.relative_to(TESTS).parts[0] in INTEGRATION
        marked = any(item.get_closest_marker(name) for name in ("servers", "clusters", "real"))
        if in_folder or marked or _starts_process(getattr(item, "function", None), set()):
            item.add_marker(pytest.mark.integration)


def _starts_process(function: Any, seen: set[Any]) -> bool:
    """Say whether a function, or one of its module that it calls, uses `subprocess`."""
    code = getattr(function, "__code__", None)
    if code is None or code in seen:
        return False
    seen.add(code)
    names = set(_names(code))
    return "subprocess" in names or any(_starts_process(function.__globals__.get(name), seen) for name in names)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):  # a comprehension or a function within
            yield from _names(constant)


@pytest.fixture(autouse=True)
def _short_measurements(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the speed of models be measured in one run each, where it is measured at all."""
    if speed := sys.modules.get("itm.features.speed"):
        monkeypatch.setattr(speed, "RUNS", (1, 1))
        monkeypatch.setattr(speed, "BATCHES", {"cpu": 2, "other": 2})


@pytest.fixture(autouse=True)
def _no_program_in_unit_tests(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a unit test fail that starts Python or a tool: it belongs to the integration tests. Libraries may ask the system."""
    start = subprocess.Popen.__init__

    def checked(process: Any, command: Any, *arguments: Any, **options: Any) -> None:
        program = Path(str(command if isinstance(command, str | Path) else command[0])).name
        if program.startswith(PROGRAMS):
            pytest.fail(f"this test starts {program}; mark it with pytest.mark.integration")
        start(process, command, *arguments, **options)

    if not request.node.get_closest_marker("integration"):
        monkeypatch.setattr(subprocess.Popen, "__init__", checked)


@pytest.fixture
def root() -> Path:
    """Return the root of the repository."""
    return TESTS.parent


@pytest.fixture
def zoo_file(root: Path) -> Path:
    """Return the embedded zoo's file."""
    return root / "data" / "zoo" / "zoo.yaml"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return an empty store."""
    return Store(tmp_path / "store")


@pytest.fixture
def shapes(store: Store) -> DataRef:
    """Return sixty drawn shapes of ten classes, 40 of them to train on, 10 to validate."""
    return ingest("synthetic:shapes?images=60", DataParams(splits={"train": 0.6, "val": 0.2, "test": 0.2}), store)


@pytest.fixture
def embedded(zoo_file: Path) -> Callable[[str], ModelRef]:
    """Return a function that gives a model of the embedded zoo by its name."""

    def find(name: str) -> ModelRef:
        return resolve(ZooParams(file=zoo_file, models=(name,)))[0][0]

    return find


@pytest.fixture
def grey_rectangles(tmp_path: Path) -> ModelRef:
    """Return a model of grey images of 48 x 32 pixels with random weights."""
    from safetensors.torch import save_file

    from itm.zoo.construct import build_without_weights

    arguments, path = {"num_classes": 0, "in_chans": 1}, tmp_path / "grey.safetensors"
    model = ModelRef("grey", "test_resnet", None, arguments, path, preprocessing=Preprocessing((48, 32)))
    save_file(build_without_weights(model).state_dict(), path)
    return model


@pytest.fixture
def own_logger() -> Iterator[None]:
    """Give the library's logger back as it was: a command sends it to its own terminal."""
    logger = logging.getLogger("itm")
    before = logger.handlers, logger.propagate, logger.level
    yield
    logger.handlers, logger.propagate = before[:2]
    logger.setLevel(before[2])


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return a function that writes a params.yaml for kNN without Prefect and MLflow, and goes to its folder."""

    def write(**sections: dict[str, Any]) -> Path:
        params = {
            "score": {"names": ["knn"], "rank_by": "knn"},
            "runner": {"kind": "inline"},
            "track": {"uri": None},
            "store": "kept",
        }
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(params | sections))
        monkeypatch.chdir(tmp_path)
        return tmp_path

    return write


@pytest.fixture
def call(own_logger: None) -> Callable[..., Result]:  # noqa: ARG001
    """Return a function that runs a command in this process and checks its exit status."""
    from itm.cli.commands import app

    def invoke(*words: str, status: int = 0) -> Result:
        result = CliRunner().invoke(app, words, catch_exceptions=False)
        assert result.exit_code == status, result.output
        return result

    return invoke
