"""A refresh of which a process is killed, and two refreshes at the same time."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from itm.core.errors import StoreError
from itm.refresh.history import read_history
from tests.flows.refreshed_store import RefreshedStore

pytestmark = [pytest.mark.slow, pytest.mark.servers, pytest.mark.usefixtures("one_thread")]

PATIENCE = 120  # seconds


@pytest.mark.clusters
def test_the_second_of_two_refreshes_waits(
    undisturbed: RefreshedStore, refreshed: RefreshedStore, environment: dict[str, str]
) -> None:
    other = refreshed.start_refresh(environment)
    _wait_for(lambda: (refreshed.files.root / "refresh.holder").exists(), other)
    refreshed.write_params(refresh={"wait": 0})
    with pytest.raises(StoreError, match=f"another refresh still runs after 0 s .process {other.pid} "):
        refreshed.refresh()
    refreshed.write_params()
    refresh = refreshed.refresh()
    assert other.wait(PATIENCE) == 0
    assert (refresh.number, refresh.work.extracted, refresh.work.scored) == (2, 0, 0)
    assert [one.work.extracted for one in read_history(refreshed.files)] == [4, 0]
    assert refreshed.scores() == undisturbed.scores()


@pytest.mark.clusters
@pytest.mark.parametrize("moment", ["extraction", "scoring"])
def test_a_worker_may_be_killed(undisturbed: RefreshedStore, refreshed: RefreshedStore, moment: str) -> None:
    refreshed.write_params(runner={"kind": "processes", "workers": 1})
    stored = refreshed.features if moment == "extraction" else refreshed.score_files
    killed: list[int] = []
    killer = threading.Thread(target=_kill_a_worker, args=(stored, killed))
    killer.start()
    refresh = refreshed.refresh()
    killer.join()
    assert killed
    assert refresh.work.failed == 0
    assert refreshed.scores() == undisturbed.scores()
    assert (len(refreshed.features()), len(refreshed.score_files())) == (4, 8)
    assert "a worker was lost" in refreshed.log(1)
    refreshed.files.remove_abandoned()  # as the next refresh does with what it may have written by half
    refreshed.check_whole()


def _kill_a_worker(stored: Callable[[], list[Path]], killed: list[int]) -> None:
    """Wait for the first file, and kill a process of the pool."""
    end = time.monotonic() + PATIENCE
    while not stored() and time.monotonic() < end:
        time.sleep(0.01)
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if "multiprocessing.spawn" in " ".join(child.cmdline()):
                child.kill()
                killed.append(child.pid)
                return


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL])
def test_a_refresh_may_be_ended_in_the_middle(
    undisturbed: RefreshedStore, refreshed: RefreshedStore, environment: dict[str, str], sign: signal.Signals
) -> None:
    process = refreshed.start_refresh(environment)
    _wait_for(lambda: bool(list((refreshed.files.root / "cache").rglob("*.parquet"))), process)  # one that is being written too
    os.killpg(process.pid, sign)
    process.wait(PATIENCE)
    refreshed.refresh()
    assert refreshed.scores() == undisturbed.scores()
    assert len(read_history(refreshed.files)) == 1
    refreshed.check_whole()


def test_a_refresh_may_be_killed_while_it_tells_mlflow(
    undisturbed: RefreshedStore, refreshed: RefreshedStore, environment: dict[str, str]
) -> None:
    refreshed.write_params(track={"uri": "auto"})
    process = refreshed.start_refresh(environment)
    _wait_for(lambda: (refreshed.files.root / "mlflow.db").exists() and refreshed.runs() > 1, process)
    process.kill()
    process.wait(PATIENCE)
    assert 1 < refreshed.runs() < 2 * (1 + 2)
    refreshed.refresh()
    assert refreshed.scores() == undisturbed.scores()
    assert refreshed.runs("attributes.status = 'FINISHED'") == refreshed.runs() == 2 * (1 + 2)
    assert len(read_history(refreshed.files)) == 1


def _wait_for(is_so: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert process.poll() is None, "it ended too soon"
        assert time.monotonic() < end
        time.sleep(0.01)
