"""Who may import whom: the library stands alone, and each heavy or fragile package has one door."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ORCHESTRATION = {"prefect", "mlflow", "dvc"}
FILES = {path.relative_to(ROOT).as_posix(): path for room in ("itm", "tasks", "flows") for path in (ROOT / room).rglob("*.py")}


def _imports(path: Path) -> Iterator[str]:
    """Yield the full name of every module that a file imports anywhere, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively; workers need absolute names"
            yield f"{node.module}"
            yield from (f"{node.module}.{name.name}" for name in node.names)


IMPORTS = {name: set(_imports(path)) for name, path in FILES.items()}
PACKAGES = {name: {module.partition(".")[0] for module in modules} for name, modules in IMPORTS.items()}


def _importers(package: str) -> set[str]:
    return {name for name, packages in PACKAGES.items() if package in packages}


@pytest.mark.slow
def test_importing_the_library_loads_no_orchestrator():
    """`import itm` and then every module under it leave prefect, mlflow and dvc alone."""
    code = (
        "import pkgutil, sys, itm.zoo.timm_import\n"
        "for module in pkgutil.walk_packages(itm.__path__, 'itm.'): __import__(module.name)\n"
        f"print(sorted({ORCHESTRATION} & set(sys.modules)), sum(name.startswith('itm.') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    modules = sum(name.startswith("itm/") and name != "itm/__init__.py" for name in FILES)
    assert done.stdout.split() == ["[]", f"{modules}"]


def test_the_library_knows_neither_flows_nor_tasks():
    """Nothing in itm imports flows, tasks or an orchestrator, not even inside a function; tasks do not know flows."""
    for name, packages in PACKAGES.items():
        if name.startswith("itm/"):
            assert not packages & (ORCHESTRATION | {"flows", "tasks"}), name
        if name.startswith("tasks/"):
            assert "flows" not in packages, name


def test_tasks_do_not_know_each_other():
    """A task is a few lines around one call of the library; only flows put tasks together."""
    for name in FILES:
        if name.startswith("tasks/"):
            room = name.removesuffix(".py").split("/")[1]
            known = {module.split(".")[1] for module in IMPORTS[name] if module.startswith("tasks.")}
            assert known <= {room}, name


@pytest.mark.parametrize(
    ("package", "doors"),
    [
        ("mlflow", {"tasks/track"}),
        ("timm", {"itm/zoo/timm_gate.py"}),
        ("fsspec", {"itm"}),
        ("prefect_dask", {"flows"}),
        ("torchvision", set()),  # the gate imports it by name, inside a function that can repair it
    ],
)
def test_each_fragile_package_has_one_door(package, doors):
    """MLflow is imported by the tracking tasks alone, timm and torchvision by their gate, others by one room."""
    assert {name if name.endswith("_gate.py") else name.rpartition("/")[0] for name in _importers(package)} == doors


def test_prefect_stays_in_flows_and_tasks():
    """Both know it, and the library does not."""
    assert {name.partition("/")[0] for name in _importers("prefect")} == {"flows", "tasks"}


def test_scores_are_arrays_in_and_numbers_out():
    """Scores know neither paths nor models: only numerics, the standard library, the errors and each other."""
    numerics = {"numpy", "scipy", "sklearn", "threadpoolctl", "torch"}
    allowed = numerics | {"itm", *sys.stdlib_module_names} - {"pathlib", "os", "shutil"}
    for name, modules in IMPORTS.items():
        if name.startswith("itm/scores/"):
            assert PACKAGES[name] <= allowed, name
            own = {module for module in modules if module.startswith("itm.")}
            assert all(module.startswith(("itm.errors", "itm.scores")) for module in own), (name, own)


def test_only_the_store_writes_beside():
    """The names of temporary files are known to the store alone."""
    assert [name for name, path in FILES.items() if ".tmp-" in path.read_text(encoding="utf-8")] == ["itm/store.py"]
