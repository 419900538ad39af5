"""An image that looks unchanged is not read again, and one that changed in any way is."""

import hashlib
import os
from pathlib import Path

import pytest
from PIL import Image

from itm.core.sections import DataParams
from itm.core.types import DataRef
from itm.data import image_hashes, pixels
from itm.data.index import read_index
from itm.data.ingest import ingest
from itm.data.sources import base
from itm.store.files import read_table
from itm.store.hash_cache import file_state
from itm.store.layout import Store


@pytest.fixture
def petals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of ten images, as if they had been there for long."""
    for number in range(10):
        path = tmp_path / "petals" / ("rose", "tulip")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), (25 * number, 9, 9)).save(path)
    monkeypatch.setattr(image_hashes, "SETTLED", -(10**18))
    return tmp_path / "petals"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the images that are opened from now on."""
    names: list[str] = []

    def open_file(path: str) -> object:
        names.append(Path(path).name)
        return pixels.open_file(path)

    monkeypatch.setattr(base, "open_file", open_file)
    return names


def again(folder: Path, store: Store, **params: int) -> DataRef:
    return ingest(f"folder:{folder}", DataParams(**params), store)


def test_unchanged_images_are_not_read_again(petals: Path, store: Store, opened: list[str]) -> None:
    first = again(petals, store)
    assert len(opened) == 10
    opened.clear()
    assert again(petals, store) == first
    assert opened == []


def test_only_what_changed_is_read(petals: Path, store: Store, opened: list[str]) -> None:
    first = again(petals, store)
    changed, touched = petals / "rose" / "0.png", petals / "rose" / "2.png"
    before = changed.stat()
    content = bytearray(changed.read_bytes())
    Image.new("RGB", (16, 16), (1, 2, 3)).save(changed)
    assert len(content) == changed.stat().st_size
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns))  # the same size and times
    touched.touch()
    (petals / "rose" / "4.png").unlink()
    Image.new("RGB", (16, 16), (77, 7, 7)).save(petals / "tulip" / "new.png")
    opened.clear()
    found = again(petals, store)
    assert sorted(opened) == ["0.png", "2.png", "new.png"]
    assert found.hash != first.hash
    fresh = again(petals, Store(store.root.with_name("other")))
    assert found.hash == fresh.hash
    assert read_index(found).equals(read_index(fresh))


def test_a_rejected_image_is_tried_again(petals: Path, store: Store, opened: list[str]) -> None:
    (petals / "rose" / "bad.png").write_bytes(b"no image")
    for _ in range(2):
        opened.clear()
        assert again(petals, store).rejected == {"not an image": 1}
    assert opened == ["bad.png"]


def test_a_file_written_just_now_is_read_again(
    petals: Path, store: Store, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_hashes, "SETTLED", 3600 * 10**9)
    again(petals, store)
    opened.clear()
    again(petals, store)
    assert len(opened) == 10


def test_a_damaged_record_costs_only_time(
    petals: Path, store: Store, opened: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    first = again(petals, store)
    path = store.image_hashes(first.name)
    for content in (b"", path.read_bytes()[:-30]):
        path.write_bytes(content)
        opened.clear()
        assert again(petals, store) == first
        assert len(opened) == 10
        assert "Images are read again." in caplog.text
        caplog.clear()


def test_the_table_has_state_and_hash_of_every_file_in_the_order_of_paths(petals: Path, store: Store) -> None:
    data = again(petals, store)
    table = read_table(store.image_hashes(data.name))
    assert dict(table.schema) == image_hashes.SCHEMA
    assert table.rows() == [
        (path.as_posix(), *file_state(path), hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(petals.rglob("*.png"))
    ]


def test_images_that_are_gone_leave_the_table(petals: Path, store: Store, opened: list[str]) -> None:
    again(petals, store)
    (petals / "rose" / "4.png").unlink()
    opened.clear()
    data = again(petals, store)
    assert opened == []
    assert len(read_table(store.image_hashes(data.name))) == 9


def test_samples_are_remembered_too(petals: Path, store: Store, opened: list[str]) -> None:
    first = again(petals, store, max_images=6)
    opened.clear()
    assert again(petals, store, max_images=6) == first
    assert opened == []
