"""Weight files are hashed once as long as they look the same, from run to run too, and again as soon as they do not."""

import hashlib
import logging
import os
import time
from pathlib import Path

import pytest

from itm.core.keys import file_hash
from itm.store import hash_cache
from itm.store.hash_cache import cached_hash, saved_hashes
from itm.store.layout import Store


@pytest.fixture(autouse=True)
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Begin as a new process does, which knows nothing, and return the names of the files that are read from then on."""
    names: list[str] = []

    def counted(path: Path) -> str:
        names.append(path.name)
        return file_hash(path)

    monkeypatch.setattr(hash_cache, "_cache", {})
    monkeypatch.setattr(hash_cache, "file_hash", counted)
    return names


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every file for one that has not changed for a while."""
    monkeypatch.setattr(hash_cache, "SETTLED", 0)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    (path := tmp_path / "weights").write_bytes(b"first")
    return path


def _sha256(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _let_time_pass() -> None:
    time.sleep(0.05)  # the clock of a file system ticks every few milliseconds


@pytest.mark.usefixtures("settled")
def test_a_file_is_read_again_only_when_it_changed(weights: Path, read: list[str]) -> None:
    times = weights.stat().st_atime_ns, weights.stat().st_mtime_ns
    assert [cached_hash(weights), cached_hash(weights)] == [_sha256(b"first")] * 2
    assert read == ["weights"]
    _let_time_pass()
    weights.write_bytes(b"other")
    os.utime(weights, ns=times)
    assert cached_hash(weights) == _sha256(b"other")
    (weights.parent / "new").write_bytes(b"third")
    (weights.parent / "new").replace(weights)
    assert cached_hash(weights) == _sha256(b"third")
    weights.unlink()
    with pytest.raises(FileNotFoundError):
        cached_hash(weights)


@pytest.mark.usefixtures("settled")
def test_the_next_run_reads_only_what_changed(
    weights: Path, tmp_path: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    others = {name: tmp_path / name for name in ("same", "gone")}
    for name, path in others.items():
        path.write_bytes(name.encode())
    with saved_hashes(Store(tmp_path)):
        for path in (weights, *others.values()):
            cached_hash(path)
    monkeypatch.setattr(hash_cache, "_cache", {})
    read.clear()
    _let_time_pass()
    weights.write_bytes(b"other")
    others["gone"].unlink()
    with saved_hashes(Store(tmp_path)):
        assert [cached_hash(weights), cached_hash(others["same"])] == [_sha256(b"other"), _sha256(b"same")]
    assert read == ["weights"]
    assert "gone" not in Store(tmp_path).hashes.read_text(encoding="utf-8")


def test_a_file_that_changed_a_moment_ago_is_read_again(weights: Path, read: list[str]) -> None:
    assert [cached_hash(weights), cached_hash(weights)] == [_sha256(b"first")] * 2
    assert read == ["weights"] * 2


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("damage", ["flipped", "cut", "other"])
def test_a_damaged_record_is_told_of_and_no_hash_of_it_is_believed(
    damage: str, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store, true = Store(tmp_path), _sha256(b"first")
    with saved_hashes(store):
        cached_hash(weights)
    whole = store.hashes.read_text(encoding="utf-8")
    damaged = {"flipped": whole.replace(true, "0" + true[1:]), "cut": whole[: len(whole) // 2], "other": "[]"}
    store.hashes.write_text(damaged[damage], encoding="utf-8")
    monkeypatch.setattr(hash_cache, "_cache", {})
    with caplog.at_level(logging.WARNING), saved_hashes(store):
        assert cached_hash(weights) == true
    assert "hashes.json: is damaged" in caplog.text
    assert store.hashes.read_text(encoding="utf-8") == whole


@pytest.mark.usefixtures("settled")
def test_a_run_goes_on_where_nothing_can_be_written_down(
    weights: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("no folder")
    with saved_hashes(Store(tmp_path)):
        pass
    assert caplog.text == ""
    with saved_hashes(Store(tmp_path)):
        cached_hash(weights)
    assert "read again by the next run" in caplog.text


@pytest.mark.usefixtures("settled")
def test_what_was_hashed_before_an_error_is_remembered(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), saved_hashes(Store(tmp_path)):
        [cached_hash(path) for path in (weights, tmp_path / "missing")]
    assert _sha256(b"first") in Store(tmp_path).hashes.read_text(encoding="utf-8")


@pytest.mark.usefixtures("settled")
def test_a_path_that_is_no_text_does_not_spoil_the_others(
    weights: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (strange := tmp_path / os.fsdecode(b"caf\xe9")).write_bytes(b"other")
    with saved_hashes(Store(tmp_path)):
        assert [cached_hash(path) for path in (weights, strange)] == [_sha256(b"first"), _sha256(b"other")]
    hash_cache._cache.clear()
    with saved_hashes(Store(tmp_path)):
        assert list(hash_cache._cache) == [str(weights)]
    assert caplog.text == ""
