"""What the import-linter contracts of pyproject.toml cannot say: loaded modules, absolute imports, pure scores, one writer."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ORCHESTRATION = {"prefect", "mlflow", "dvc"}
FOLDERS = ("itm", "tasks", "flows")
FILES = {path.relative_to(ROOT).as_posix(): path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")}


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively; workers need absolute names"
            yield f"{node.module}"


IMPORTS = {name: set(_imports(path)) for name, path in FILES.items()}


@pytest.mark.slow
def test_importing_the_library_loads_no_orchestrator():
    code = (
        "import pkgutil, sys, itm.zoo.timm_gate\n"
        "for module in pkgutil.walk_packages(itm.__path__, 'itm.'): __import__(module.name)\n"
        f"print(sorted({ORCHESTRATION} & set(sys.modules)), sum(name.startswith('itm.') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    modules = sum(name.startswith("itm/") and name != "itm/__init__.py" for name in FILES)
    assert done.stdout.split() == ["[]", f"{modules}"]


def test_prefect_is_used_by_flows_and_tasks():
    packages = {name: {module.partition(".")[0] for module in modules} for name, modules in IMPORTS.items()}
    assert {name.partition("/")[0] for name in packages if "prefect" in packages[name]} == {"flows", "tasks"}


def test_scores_take_arrays_and_return_numbers():
    numerics = {"numpy", "pydantic", "scipy", "sklearn", "threadpoolctl", "torch"}
    allowed = numerics | {"itm", *sys.stdlib_module_names} - {"pathlib", "os", "shutil"}
    for name, modules in IMPORTS.items():
        if name.startswith("itm/scores/"):
            assert {module.partition(".")[0] for module in modules} <= allowed, name
            own = {module for module in modules if module.startswith("itm.")}
            assert all(module.startswith(("itm.core", "itm.kinds", "itm.scores")) for module in own), (name, own)


def test_only_the_store_names_temporary_files():
    writers = [name for name, path in FILES.items() if ".tmp-" in path.read_text(encoding="utf-8")]
    assert sorted(writers) == ["itm/store/files.py", "itm/store/layout.py"]
