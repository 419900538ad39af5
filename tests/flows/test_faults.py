"""Whatever breaks, the next refresh gives the very scores of an undisturbed one, computes only what is lost, and tells."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from nights import Nights

from itm.core.errors import ItmError, StoreError
from itm.features import devices, extract
from itm.refresh.history import read_history, write_refresh

pytestmark = pytest.mark.slow

PATIENCE = 120  # seconds


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute with one thread, as worker processes do: embeddings differ in their last digits with another number."""
    monkeypatch.setattr(devices, "THREADS", 1)


@pytest.fixture(scope="module")
def undisturbed(prefect_server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Nights:
    """Return a store that was refreshed once, with nothing in the way."""
    assert prefect_server
    nights = Nights(tmp_path_factory.mktemp("undisturbed"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(devices, "THREADS", 1)
        assert nights.refresh().work.extracted == 4
    return nights


@pytest.fixture
def nights(undisturbed: Nights, tmp_path: Path) -> Nights:
    """Return a store of the same parameters with nothing in it."""
    del undisturbed  # which has started the server
    return Nights(tmp_path / "nights")


def cut_features(nights: Nights) -> None:
    """Cut the end off a feature file."""
    path = nights.features()[0]
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit(nights: Nights) -> None:
    """Change one bit of an embedding whose scores are asked for again."""
    path = nights.features()[0]
    _flip(path, path.stat().st_size // 3)
    _forget_scores(nights, path)


def flip_a_name(nights: Nights) -> None:
    """Change one bit of the name of a column, which no checksum covers, in a file whose scores are asked for again."""
    path = nights.features()[0]
    _flip(path, path.read_bytes().index(b"logits"))
    _forget_scores(nights, path)


def _flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def _forget_scores(nights: Nights, path: Path) -> None:
    model = path.name.rpartition("-")[0]
    for score in nights.score_files():
        if score.parent.name == model and score.parent.parent.name == path.parent.name:
            score.unlink()


def put_another_in_its_place(nights: Nights) -> None:
    """Put the whole and valid features of another pair where those of a pair should be."""
    first, *_, last = nights.features()
    shutil.copy(last, first)


def cut_a_score(nights: Nights) -> None:
    """Cut a score file in two."""
    path = nights.score_files("knn")[0]
    path.write_text(path.read_text()[:40])


def change_a_digit(nights: Nights) -> None:
    """Change the value in a score file, which stays valid JSON."""
    path = nights.score_files("itm")[0]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"value": 0.99}))


def cut_the_index(nights: Nights) -> None:
    """Cut the index of a data set."""
    path = nights.store.index("shapes-images40")
    path.write_bytes(path.read_bytes()[:-50])


def spoil_the_ranking(nights: Nights) -> None:
    """Overwrite the ranking and its scores."""
    nights.store.ranking.write_text("{")
    nights.store.scores.write_bytes(b"PAR1")


def spoil_the_history(nights: Nights) -> None:
    """Change the last record of the history."""
    path = nights.store.refresh(1) / "refresh.json"
    path.write_text(path.read_text().replace("ranked", "rankled").replace("itm", "mti"))


def spoil_what_is_recommended(nights: Nights) -> None:
    """Overwrite the record of what is recommended."""
    nights.store.recommended.write_text("[]}")


def jump_with_the_clock(nights: Nights) -> None:
    """Date every file of the store in 1990 or in 2099 and its refresh in 2099, as a clock that jumped would have."""
    (before,) = read_history(nights.store)
    write_refresh(replace(before, started="2099-01-01T00:00:00+00:00"), nights.store)
    for number, path in enumerate(sorted(nights.store.root.rglob("*"))):
        os.utime(path, times=2 * ((631152000, 4070908800)[number % 2],))


@pytest.mark.parametrize(
    ("damage", "extracted", "scored", "said"),
    [
        (cut_features, 1, 0, "damaged or not a feature file"),
        (flip_a_bit, 1, 2, "is missing or damaged"),
        (flip_a_name, 1, 2, "its columns are"),
        (put_another_in_its_place, 1, 0, "holds other features"),
        (cut_a_score, 0, 1, "is damaged"),
        (change_a_digit, 0, 1, "its checksum does not match"),
        (cut_the_index, 0, 0, "writing the index again"),
        (spoil_the_ranking, 0, 0, ""),
        (spoil_the_history, 0, 0, "left out of the history"),
        (spoil_what_is_recommended, 0, 0, "is not known"),
        (jump_with_the_clock, 0, 0, ""),
    ],
)
def test_what_is_damaged_is_found_and_alone_computed_again(
    undisturbed: Nights, nights: Nights, damage: Callable[[Nights], None], extracted: int, scored: int, said: str
) -> None:
    """Checksums, keys and numbers tell what is wrong; the log names it, and the scores are those of the night before."""
    shutil.copytree(undisturbed.store.root, nights.store.root, dirs_exist_ok=True)
    damage(nights)
    refresh = nights.refresh()
    assert nights.scores() == undisturbed.scores()
    assert (refresh.number, refresh.work.extracted, refresh.work.scored) == (2, extracted, scored)
    assert (refresh.work.features_cached, refresh.work.scores_cached) == (4 - extracted, 8 - scored)
    assert said in nights.told(2)
    nights.check_whole()


def test_files_of_another_version_are_computed_again(
    undisturbed: Nights, nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an update that changes embeddings nothing old is used, and nothing old is lost."""
    with monkeypatch.context() as older:
        older.setattr(extract, "EXTRACTOR", 0)
        nights.refresh()
    refresh = nights.refresh()
    assert nights.scores() == undisturbed.scores()
    assert (refresh.work.extracted, len(nights.features())) == (4, 8)


@pytest.mark.parametrize("uri", ["http://127.0.0.1:1", "sqlite:////proc/nowhere/mlflow.db"])
def test_mlflow_may_be_down(undisturbed: Nights, nights: Nights, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ranking stands and says that it was not tracked; once MLflow is back, it is told everything, once."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    nights.say(track={"uri": uri})
    (problem,) = nights.refresh().problems
    assert "not tracked" in problem
    assert nights.scores() == undisturbed.scores()
    nights.say(track={"uri": "auto"})
    refresh = nights.refresh()
    assert (refresh.problems, refresh.work.extracted) == ((), 0)
    assert nights.runs() == 2 * (1 + 2)  # a parent and two models, on two data sets


@contextmanager
def _mounted(folder: Path, options: str) -> Iterator[Callable[[str], None]]:
    """Mount a file system of its own on a folder, and give what mounts it again with other options."""
    folder.mkdir(exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("a disk of its own can be mounted by root alone")
    try:
        yield lambda options: subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True) and None
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize(("before", "after"), [("size=760k", "size=100m"), ("size=100m,ro", "size=100m,rw")])
def test_a_disk_may_be_full_or_read_only(undisturbed: Nights, nights: Nights, before: str, after: str) -> None:
    """What cannot be written is an error or a failed row, never half a file; with room again all is as it should be."""
    with _mounted(nights.store.root, before) as mount_again:
        with suppress(ItmError):
            failed = nights.refresh()
            assert failed.work.failed or any(standing.reason for standing in failed.standings)
        mount_again(after)
        refresh = nights.refresh()
        assert refresh.work.failed == 0
        assert nights.scores() == undisturbed.scores()
        nights.check_whole()


def test_the_second_of_two_refreshes_waits(undisturbed: Nights, nights: Nights, environment: dict[str, str]) -> None:
    """While another process refreshes, one that may not wait says who is at work, and one that may finds all computed."""
    other = nights.begin(environment)
    _wait_for(lambda: (nights.store.root / "refresh.holder").exists(), other)
    nights.say(refresh={"wait": 0})
    with pytest.raises(StoreError, match=f"another refresh is still at work after 0 s .process {other.pid} "):
        nights.refresh()
    nights.say()
    refresh = nights.refresh()
    assert other.wait(PATIENCE) == 0
    assert (refresh.number, refresh.work.extracted, refresh.work.scored) == (2, 0, 0)
    assert [one.work.extracted for one in read_history(nights.store)] == [4, 0]
    assert nights.scores() == undisturbed.scores()


@pytest.mark.parametrize("moment", ["extraction", "scoring"])
def test_a_worker_may_be_killed(undisturbed: Nights, nights: Nights, moment: str) -> None:
    """Where a process of the pool is gone, its pairs are handed to a new one; nothing fails and nothing is stored twice."""
    nights.say(runner={"kind": "processes", "workers": 1})
    stored = nights.features if moment == "extraction" else nights.score_files
    killed: list[int] = []
    killer = threading.Thread(target=_kill_a_worker, args=(stored, killed))
    killer.start()
    refresh = nights.refresh()
    killer.join()
    assert killed
    assert refresh.work.failed == 0
    assert nights.scores() == undisturbed.scores()
    assert (len(nights.features()), len(nights.score_files())) == (4, 8)
    assert "a worker was lost" in nights.told(1)
    nights.store.sweep()  # as the next refresh does with what it may have written by half
    nights.check_whole()


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
    undisturbed: Nights, nights: Nights, environment: dict[str, str], sign: signal.Signals
) -> None:
    """Ended once it begins to store, it has never been: the next one goes on from what is whole, and is counted alone."""
    process = nights.begin(environment)
    _wait_for(lambda: bool(list((nights.store.root / "cache").rglob("*.parquet"))), process)  # one that is being written too
    os.killpg(process.pid, sign)
    process.wait(PATIENCE)
    nights.refresh()
    assert nights.scores() == undisturbed.scores()
    assert len(read_history(nights.store)) == 1
    nights.check_whole()


def test_a_refresh_may_be_killed_while_it_tells_mlflow(
    undisturbed: Nights, nights: Nights, environment: dict[str, str]
) -> None:
    """What was told by half is taken back, so that MLflow has one finished run for each model and each ranking."""
    nights.say(track={"uri": "auto"})
    process = nights.begin(environment)
    _wait_for(lambda: (nights.store.root / "mlflow.db").exists() and nights.runs() > 1, process)
    process.kill()
    process.wait(PATIENCE)
    assert 1 < nights.runs() < 2 * (1 + 2)
    nights.refresh()
    assert nights.scores() == undisturbed.scores()
    assert nights.runs("attributes.status = 'FINISHED'") == nights.runs() == 2 * (1 + 2)
    assert len(read_history(nights.store)) == 1


def _wait_for(is_so: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert process.poll() is None, "it ended too soon"
        assert time.monotonic() < end
        time.sleep(0.01)
