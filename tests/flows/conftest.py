"""One Prefect server for all tests that need one."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Start a real server with a home of its own and return the environment that leads to it."""
    import flows  # noqa: F401  (sets what must be set before Prefect is imported)

    home = tmp_path_factory.mktemp("prefect")
    before = os.environ.get("PREFECT_HOME")
    os.environ["PREFECT_HOME"] = str(home)
    from prefect.settings import PREFECT_API_URL
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=180):
        yield {"PREFECT_HOME": str(home), "PREFECT_API_URL": str(PREFECT_API_URL.value())}
    if before is None:
        del os.environ["PREFECT_HOME"]
    else:
        os.environ["PREFECT_HOME"] = before


@pytest.fixture
def environment(prefect_server: dict[str, str]) -> dict[str, str]:
    """Return the environment of a command that talks to the test server."""
    return os.environ | prefect_server


@pytest.fixture
def root() -> Path:
    """Return the root of the repository."""
    return Path(__file__).parents[2]
