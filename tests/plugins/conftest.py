"""The command `itm` in a process that finds the packages of a test."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.plugins.package import command, environment

Itm = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def itm(tmp_path: Path) -> Itm:
    """Return a function that runs `itm` in a process that finds the packages installed in `site`."""

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        variables = environment(tmp_path / "site") | {"COLUMNS": "200"}
        return subprocess.run(command(*words), cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)

    return run
