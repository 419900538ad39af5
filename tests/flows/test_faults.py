"""Whatever breaks, the next refresh gives the very scores of an undisturbed one, computes only what is lost, and tells."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from itm.core.errors import ItmError
from itm.features import identity
from itm.refresh.history import read_history, write_refresh
from tests.flows.refreshed_store import RefreshedStore

pytestmark = [pytest.mark.slow, pytest.mark.servers, pytest.mark.usefixtures("one_thread")]


def cut_features(refreshed: RefreshedStore) -> None:
    """Cut the end off a feature file."""
    path = refreshed.features()[0]
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit(refreshed: RefreshedStore) -> None:
    """Change one bit of an embedding whose scores are asked for again."""
    path = refreshed.features()[0]
    _flip(path, path.stat().st_size // 3)
    _forget_scores(refreshed, path)


def flip_a_name(refreshed: RefreshedStore) -> None:
    """Change one bit of the name of a column, which no checksum covers, in a file whose scores are asked for again."""
    path = refreshed.features()[0]
    _flip(path, path.read_bytes().index(b"logits"))
    _forget_scores(refreshed, path)


def _flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def _forget_scores(refreshed: RefreshedStore, path: Path) -> None:
    model = path.name.rpartition("-")[0]
    for score in refreshed.score_files():
        if score.parent.name == model and score.parent.parent.name == path.parent.name:
            score.unlink()


def put_another_in_its_place(refreshed: RefreshedStore) -> None:
    """Put the whole and valid features of another pair where those of a pair should be."""
    first, *_, last = refreshed.features()
    shutil.copy(last, first)


def cut_a_score(refreshed: RefreshedStore) -> None:
    """Cut a score file in two."""
    path = refreshed.score_files("knn")[0]
    path.write_text(path.read_text()[:40])


def change_a_digit(refreshed: RefreshedStore) -> None:
    """Change the value in a score file, which stays valid JSON."""
    path = refreshed.score_files("itm")[0]
    record = json.loads(path.read_text())
    record["payload"]["value"] = 0.99
    path.write_text(json.dumps(record))


def cut_the_index(refreshed: RefreshedStore) -> None:
    """Cut the index of a data set."""
    path = refreshed.files.index("shapes-images40")
    path.write_bytes(path.read_bytes()[:-50])


def spoil_the_ranking(refreshed: RefreshedStore) -> None:
    """Overwrite the ranking and its scores."""
    refreshed.files.ranking.write_text("{")
    refreshed.files.scores.write_bytes(b"PAR1")


def spoil_the_history(refreshed: RefreshedStore) -> None:
    """Change the last record of the history."""
    path = refreshed.files.refresh(1) / "refresh.json"
    path.write_text(path.read_text().replace("ranked", "rankled").replace("itm", "mti"))


def spoil_what_is_recommended(refreshed: RefreshedStore) -> None:
    """Overwrite the record of what is recommended."""
    refreshed.files.recommended.write_text("[]}")


def jump_with_the_clock(refreshed: RefreshedStore) -> None:
    """Date every file of the store in 1990 or in 2099 and its refresh in 2099, as a clock that jumped would have."""
    (before,) = read_history(refreshed.files)
    write_refresh(replace(before, started="2099-01-01T00:00:00+00:00"), refreshed.files)
    for number, path in enumerate(sorted(refreshed.files.root.rglob("*"))):
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
        (spoil_the_history, 0, 0, "refresh.json: is damaged"),
        (spoil_what_is_recommended, 0, 0, "is damaged"),
        (jump_with_the_clock, 0, 0, ""),
    ],
)
def test_what_is_damaged_is_found_and_alone_computed_again(
    undisturbed: RefreshedStore,
    refreshed: RefreshedStore,
    damage: Callable[[RefreshedStore], None],
    extracted: int,
    scored: int,
    said: str,
) -> None:
    shutil.copytree(undisturbed.files.root, refreshed.files.root, dirs_exist_ok=True)
    damage(refreshed)
    refresh = refreshed.refresh()
    assert refreshed.scores() == undisturbed.scores()
    assert (refresh.number, refresh.work.extracted, refresh.work.scored) == (2, extracted, scored)
    assert (refresh.work.features_cached, refresh.work.scores_cached) == (4 - extracted, 8 - scored)
    assert said in refreshed.log(2)
    refreshed.check_whole()


def test_files_of_another_version_are_computed_again(
    undisturbed: RefreshedStore, refreshed: RefreshedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr(identity, "EXTRACTOR", 0)
        refreshed.refresh()
    refresh = refreshed.refresh()
    assert refreshed.scores() == undisturbed.scores()
    assert (refresh.work.extracted, len(refreshed.features())) == (4, 8)


@pytest.mark.parametrize("uri", ["http://127.0.0.1:1", "sqlite:////proc/nowhere/mlflow.db"])
def test_mlflow_may_be_down(
    undisturbed: RefreshedStore, refreshed: RefreshedStore, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    refreshed.write_params(track={"uri": uri})
    (problem,) = refreshed.refresh().problems
    assert "not tracked" in problem
    assert refreshed.scores() == undisturbed.scores()
    refreshed.write_params(track={"uri": "auto"})
    refresh = refreshed.refresh()
    assert (refresh.problems, refresh.work.extracted) == ((), 0)
    assert refreshed.runs() == 2 * (1 + 2)  # a parent and two models, on two data sets


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
def test_a_disk_may_be_full_or_read_only(
    undisturbed: RefreshedStore, refreshed: RefreshedStore, before: str, after: str
) -> None:
    with _mounted(refreshed.files.root, before) as mount_again:
        with suppress(ItmError):
            failed = refreshed.refresh()
            assert failed.work.failed or any(standing.reason for standing in failed.standings)
        mount_again(after)
        refresh = refreshed.refresh()
        assert refresh.work.failed == 0
        assert refreshed.scores() == undisturbed.scores()
        refreshed.check_whole()
