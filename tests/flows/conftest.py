"""One Prefect server for all tests that need one, and a store that is refreshed with it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from itm.features import devices
from tests.flows.refreshed_store import RefreshedStore


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
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute with one thread, as worker processes do: embeddings differ in their last digits with another number."""
    monkeypatch.setattr(devices, "THREADS", 1)


@pytest.fixture(scope="session")
def undisturbed(prefect_server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> RefreshedStore:
    """Return a store that was refreshed once, with nothing in the way."""
    assert prefect_server
    store = RefreshedStore(tmp_path_factory.mktemp("undisturbed"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(devices, "THREADS", 1)
        assert store.refresh().work.extracted == 4
    return store


@pytest.fixture
def refreshed(undisturbed: RefreshedStore, tmp_path: Path) -> RefreshedStore:
    """Return an empty store with the parameters of `undisturbed`."""
    del undisturbed  # it has started the server
    return RefreshedStore(tmp_path / "refreshed")
