"""Where machines exchange files: any file system will do, and one that will not is an error without credentials."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from itm.core.errors import ItmError, StoreError
from itm.store.layout import Store
from itm.store.mirror import check_shared, fetch, fetch_required, publish


class Cut(MemoryFileSystem):  # type: ignore[misc]
    """A file system whose connections end before a file has arrived, and say nothing."""

    protocol = "cut"
    store: dict[str, Any] = {}  # noqa: RUF012  (what it inherits would be that of memory://)
    pseudo_dirs = [""]  # noqa: RUF012

    def get_file(self, rpath: str, lpath: str, **_: Any) -> None:
        """Write the first half of a file."""
        content = self.cat_file(rpath)
        Path(lpath).write_bytes(content[: len(content) // 2])


def test_a_download_that_ends_early_never_gets_the_name(tmp_path, caplog):
    fsspec.register_implementation("cut", Cut, clobber=True)
    sender, receiver = Store(tmp_path / "sender", shared="cut://place"), Store(tmp_path / "receiver", shared="cut://place")
    sent, path = sender.root / "cache" / "file", receiver.root / "cache" / "file"
    sent.parent.mkdir(parents=True)
    sent.write_bytes(bytes(1000))
    assert publish(sender, sent)
    assert not fetch(receiver, path)
    assert "500 of 1000 bytes arrived" in caplog.text
    with pytest.raises(StoreError, match="500 of 1000 bytes arrived"):
        fetch_required(receiver, path)
    assert list(path.parent.iterdir()) == []


def test_credentials_are_in_no_message(tmp_path, monkeypatch, caplog):
    open_secret = Store(tmp_path, shared="ftp://somebody:hunter2@127.0.0.1:9/place")
    monkeypatch.setenv("PLACE", str(open_secret.shared))
    for store, words in (
        (open_secret, "contains credentials"),
        (replace(open_secret, shared="$PLACE"), "^ftp://127.0.0.1:9/place"),
    ):
        with pytest.raises(StoreError, match=words) as caught:
            check_shared(store)
        assert caught.value.__cause__ is None
        assert "hunter2" not in f"{caught.value}{caplog.text}"
        assert "somebody" not in f"{caught.value}{caplog.text}"


@pytest.mark.parametrize(
    ("shared", "words"),
    [
        ("$NO_SUCH_PLACE", "the environment variable NO_SUCH_PLACE is not set"),
        ("nowhere://place", "nowhere://place: cannot be used"),
        ("file:///proc/place", "file:///proc/place: (cannot be reached|does not exist)"),
    ],
)
def test_a_place_that_cannot_be_is_an_error_in_words(tmp_path, shared, words):
    with pytest.raises(ItmError, match=words):
        check_shared(Store(tmp_path, shared=shared))


@pytest.mark.usefixtures("s3_server")
def test_a_bucket_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(StoreError, match="s3://no-such-bucket/itm: does not exist; create the bucket"):
        check_shared(Store(tmp_path, shared="s3://no-such-bucket/itm"))


@pytest.mark.parametrize("url", ["file://{}/place", "memory://place", "{}/place"])
def test_any_file_system_will_do(tmp_path, url):
    sender, receiver = (Store(tmp_path / name, shared=url.format(tmp_path)) for name in ("sender", "receiver"))
    check_shared(sender)
    for size in (10, 100_000):
        sent, path = sender.root / "cache" / f"{size}", receiver.root / "cache" / f"{size}"
        sent.parent.mkdir(parents=True, exist_ok=True)
        sent.write_bytes(bytes(range(256)) * (size // 256) + b"end")
        assert not fetch(receiver, path)
        assert publish(sender, sent)
        assert publish(sender, sent)
        assert fetch(receiver, path)
        assert path.read_bytes() == sent.read_bytes()
    files, folder = fsspec.url_to_fs(url.format(tmp_path))
    assert sorted(name.rpartition("/")[2] for name in files.find(folder)) == ["10", "100000", "itm-shared-place"]


def test_nothing_is_exchanged_without_a_place_or_from_outside(tmp_path):
    file = tmp_path / "file"
    file.write_text("mine")
    assert not publish(Store(tmp_path), file)
    assert not publish(Store(tmp_path / "store", shared=f"file://{tmp_path}/place"), file)
    assert not fetch(Store(tmp_path), tmp_path / "missing")
    assert list(tmp_path.iterdir()) == [file]
