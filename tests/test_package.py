"""What the package sets when it is imported, and what it pulls in when it is installed."""

import os
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Orchestrators, trackers, databases and frameworks of servers.
HEAVY = {"dask", "distributed", "dvc", "fastapi", "flask", "gunicorn", "mlflow", "mlflow-skinny", "prefect", "sqlalchemy"}
HEAVY |= {"aiohttp", "starlette", "tornado", "uvicorn", "werkzeug"}

ASK = "import os, itm; print(os.environ['OMP_WAIT_POLICY'])"


@pytest.mark.parametrize(("before", "after"), [(None, "passive"), ("active", "active")])
def test_waiting_threads_do_not_spin_unless_the_user_says_so(before, after):
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {"OMP_WAIT_POLICY": before} if before else {}
    done = subprocess.run([sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == after


@pytest.mark.parametrize("module", ["itm.scores", "itm.run.pipeline", "itm.cli.app", "flows", "tasks"])
def test_openmp_is_told_before_it_is_loaded(module):
    """torch and scikit-learn read it once, when they are imported."""
    watch = """
import builtins, os, sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "sklearn", "scipy"):
            assert os.environ.get("OMP_WAIT_POLICY") == "passive", name
            sys.exit(0)
sys.meta_path.insert(0, Watch())
"""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    command = [sys.executable, "-c", f"{watch}\nimport {module}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _pulled_in(requirements: list[str], extras: set[str], found: set[str]) -> set[str]:
    """Return the names of all packages that requirements pull in on this system."""
    for text in requirements:
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        wanted = requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras))
        if not wanted or name in found:
            continue
        found.add(name)
        try:
            _pulled_in(requires(name) or [], requirement.extras, found)
        except PackageNotFoundError:
            continue  # of another accelerator
    return found


def test_the_base_installation_has_no_orchestrator_tracker_or_server():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = _pulled_in(project["dependencies"], set(), set())
    assert {"torch", "timm", "numpy", "jinja2", "markupsafe"} <= found
    assert found & HEAVY == set()
    assert "prefect" in _pulled_in(project["optional-dependencies"]["pipeline"], set(), set())
