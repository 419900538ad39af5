"""Images are decoded in order, by threads that need nothing a container limits, and a bad image is named."""

import hashlib
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl
import psutil
import pytest
import torch
from PIL import Image

from itm.core.errors import DataError
from itm.data.pixels import open_file
from itm.features.decode import decode

pytestmark = pytest.mark.slow

CONFIG: dict[str, Any] = {
    "input_size": [3, 32, 32],
    "mean": [0.5] * 3,
    "std": [0.5] * 3,
    "interpolation": "bicubic",
    "crop_pct": 1.0,
    "crop_mode": "center",
}

IN_CONTAINER = """
import sys
sys.path[:0] = sys.argv[2:]
import polars as pl
from itm.data.pixels import open_file
from itm.features.decode import decode
from tests.features.test_decode import CONFIG
rows = pl.read_parquet(sys.argv[1])
print(sum(1 for _ in decode(rows, open_file, [CONFIG | {"input_size": [3, 512, 512]}], workers=4, ahead=64)))
"""


@pytest.fixture
def rows(tmp_path: Path) -> pl.DataFrame:
    """Return rows of forty images, each of another shade."""
    return pl.DataFrame([_saved(tmp_path / f"{n}.png", Image.new("RGB", (40, 40), (n, n, n))) for n in range(40)])


def _saved(path: Path, image: Image.Image) -> dict[str, str]:
    image.save(path)
    return {"path": str(path), "id": hashlib.sha256(path.read_bytes()).hexdigest()}


def _all(rows: pl.DataFrame, open_image: Any = open_file, workers: int = 2, config: dict[str, Any] = CONFIG) -> list[Any]:
    return list(decode(rows, open_image, [config], workers, ahead=8))


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_images_come_in_order_however_many_threads_decode(rows: pl.DataFrame, workers: int) -> None:
    images = [image for (image,) in _all(rows, workers=workers)]
    assert [int(image[0, 0, 0]) for image in images] == list(range(40))
    assert {(image.dtype, image.shape) for image in images} == {(torch.uint8, (3, 32, 32))}


def test_decoding_starts_no_process(rows: pl.DataFrame) -> None:
    before = psutil.Process().children()
    images = decode(rows, open_file, [CONFIG], workers=3, ahead=8)
    next(images)
    assert psutil.Process().children() == before
    images.close()


def test_closing_stops_decoding(rows: pl.DataFrame) -> None:
    opened: list[str] = []

    def open_image(path: str) -> BinaryIO:
        opened.append(path)
        return open_file(path)

    images = decode(rows, open_image, [CONFIG], workers=2, ahead=4)
    next(images)
    images.close()
    assert len(opened) < 10


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), r"memory ran out\); free memory"),
        (OverflowError(), "OverflowError without a message"),
        (RuntimeError("no answer"), "no answer"),
        (PermissionError(13, "Permission denied"), r"Permission denied\); change its permissions"),
        (OSError(5, "Input/output error"), r"Input/output error\); check the disk"),
    ],
)
@pytest.mark.parametrize("workers", [0, 2])
def test_any_error_of_a_source_names_the_image(rows: pl.DataFrame, error: Exception, reason: str, workers: int) -> None:
    bad = rows["path"][7]

    def open_image(path: str) -> BinaryIO:
        if path == bad:
            raise error
        return open_file(path)

    with pytest.raises(DataError, match=rf"^{bad} can no longer be read \({reason}"):
        _all(rows, open_image, workers)


def test_any_error_of_a_decoder_names_the_image(rows: pl.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match=rf"^{rows['path'][0]}: cannot be opened as an image \(.*limit"):
        _all(rows)


@pytest.mark.parametrize("size", [(6000, 60), (60, 6000)])
def test_an_image_too_large_once_resized_is_named(rows: pl.DataFrame, tmp_path: Path, size: tuple[int, int]) -> None:
    thin = _saved(tmp_path / "ruler.png", Image.new("RGB", size))  # of a shape that ingestion accepts
    with pytest.raises(DataError, match=rf"ruler\.png: an image of {size[0]} x {size[1]} pixels cannot be resized .*limit"):
        _all(pl.concat([rows, pl.DataFrame([thin])]), config=CONFIG | {"input_size": [3, 1024, 1024]})


@pytest.fixture
def few_files() -> Iterator[None]:
    """Allow eight more open files than now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    with ExitStack() as held:
        while (number := os.dup(0)) < 255 - 8:
            held.callback(os.close, number)
        os.close(number)
        yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("few_files")
def test_few_open_files_are_enough(rows: pl.DataFrame) -> None:
    assert len(_all(rows, workers=3)) == 40


@pytest.mark.usefixtures("few_files")
def test_too_many_open_files_are_named_with_the_limit_to_raise(rows: pl.DataFrame) -> None:
    held: list[BinaryIO] = []

    def open_image(path: str) -> BinaryIO:
        held.append(open_file(path))  # a source that never closes
        return BytesIO(held[-1].read())

    try:
        with pytest.raises(DataError, match=r"can no longer be read \(Too many open files\); raise the limit with `ulimit -n`"):
            _all(rows, open_image, workers=0)
    finally:
        for stream in held:
            stream.close()


def test_decoding_needs_no_shared_memory(rows: pl.DataFrame, tmp_path: Path, root: Path) -> None:
    mount = 'mount -t tmpfs -o ro,size=64k tmpfs /dev/shm && exec "$@"'
    shell = ["unshare", "--mount", "sh", "-c", mount, "sh"]
    if subprocess.run([*shell, "true"], capture_output=True).returncode:
        pytest.skip("no mount namespaces here")
    rows.write_parquet(tmp_path / "rows.parquet")
    command = [*shell, sys.executable, "-c", IN_CONTAINER, str(tmp_path / "rows.parquet"), str(root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.returncode) == ("40\n", 0), done.stderr
