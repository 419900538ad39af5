"""What the package sets when it is imported."""

import os
import subprocess
import sys

import pytest

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
