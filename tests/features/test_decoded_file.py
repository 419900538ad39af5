"""Whatever happens to the file of decoded images, models see the same."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from itm.features.image_reader import ImageReader
from itm.store.layout import Store
from tests.features.readers import CONFIG, Counted, decoded, files, read

pytestmark = pytest.mark.slow

KILLED = """
import os, signal, sys
import polars as pl
from itm.data.pixels import open_file
from itm.features.image_reader import ImageReader
from itm.store.layout import Store
from tests.features.readers import CONFIG
images = ImageReader("set", pl.read_parquet(sys.argv[1]), open_file, Store(__import__("pathlib").Path(sys.argv[2])).decoded)
for number, image in enumerate(images.read(CONFIG, workers=0, ahead=1, while_decoding=True, fill_workers=0)):
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 5)


def _flip(place: float) -> Callable[[Path], None]:
    def flip(path: Path) -> None:
        with path.open("r+b") as stream:
            where = int(place * (path.stat().st_size - 1))
            stream.seek(where)
            byte = stream.read(1)[0]
            stream.seek(where)
            stream.write(bytes([byte ^ 8]))

    return flip


def _empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES = {"truncated": _truncate, "empty": _empty, "first byte": _flip(0), "middle": _flip(0.5), "checks": _flip(1)}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
def test_a_damaged_file_changes_no_image(
    reader: ImageReader, store: Store, opener: Counted, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
) -> None:
    before = read(reader)
    (path,) = files(store)
    damage(path)
    assert torch.equal(read(reader), before)
    assert f"{path}: decoded images cannot be read" in caplog.text
    assert "Decoding the images again." in caplog.text
    assert not files(store)  # the next model writes it again
    caplog.clear()
    assert torch.equal(read(reader), before)
    opened = len(opener.opened)
    assert torch.equal(read(reader), before)
    assert len(opener.opened) == opened
    assert not caplog.records


def test_a_file_deleted_or_truncated_while_it_is_read_changes_no_image(
    reader: ImageReader, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    before = read(reader)
    (path,) = files(store)
    for damage in (Path.unlink, lambda path: os.truncate(path, 20_000)):
        images = reader.read(CONFIG, workers=0, ahead=4, while_decoding=False, fill_workers=0)
        found = [next(images) for _ in range(3)]
        damage(path)
        assert torch.equal(torch.stack([*found, *images]), before)
        read(reader)
    assert "image 6 is damaged" in caplog.text


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let writing fail as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [0, 10_000, 36_900])
@pytest.mark.parametrize("while_decoding", [False, True])
def test_a_full_disk_changes_no_image(
    reader: ImageReader, store: Store, caplog: pytest.LogCaptureFixture, size: int, while_decoding: bool
) -> None:
    with largest_file(size):
        images = read(reader, while_decoding=while_decoding)
    assert torch.equal(images, decoded(reader))
    (warning,) = caplog.messages
    assert warning.endswith("or change `store` in params. Images are decoded again for each model.")
    assert not files(store)


def test_a_killed_process_leaves_nothing_that_is_read(reader: ImageReader, store: Store, tmp_path: Path, root: Path) -> None:
    reader.rows.write_parquet(tmp_path / "rows.parquet")
    command = [sys.executable, "-c", KILLED, str(tmp_path / "rows.parquet"), str(store.root)]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(root)}, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not list(store.decoded.glob("[!.]*"))
    assert store.remove_abandoned() == 1
    assert torch.equal(read(reader), decoded(reader))
