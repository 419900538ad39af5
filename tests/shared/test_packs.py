"""Images travel in one pack: taken whole or not at all, and nothing but images comes out of it."""

import hashlib
import tarfile
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import polars as pl
import pytest

from itm.core.errors import StoreError
from itm.data.index import read_index
from itm.data.pack import with_images_here


def test_images_are_unpacked_once_however_many_ask(data, images, other):
    images.rename(images.with_name("elsewhere"))
    rows = read_index(data).filter(status="ok")
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: with_images_here(rows, data, other), range(4)))
    (here, open_image), *others = found
    assert all(rows.equals(here) for rows, _ in others)
    for path, id_ in here.select("path", "id").iter_rows():
        with open_image(path) as stream:
            assert hashlib.sha256(stream.read()).hexdigest() == id_
    assert sorted(path.name for path in other.shared_data(data.hash).iterdir()) == ["images", "images.lock"]


@pytest.mark.parametrize("where", ["in the first name", "in a name", "in an image", "between images"])
def test_a_truncated_pack_is_no_images(data, images, run, other, contents, where):
    images.rename(images.with_name("elsewhere"))
    whole = contents.get("images.tar")
    with tarfile.open(fileobj=BytesIO(whole)) as pack:
        entry = pack.getmembers()[30]
    cuts = {"in the first name": 50, "in a name": entry.offset + 50, "in an image": entry.offset_data + 50}
    contents.put("images.tar", whole[: cuts.get(where, entry.offset)])
    with pytest.raises(StoreError, match=r"images.tar in the shared place is damaged .* remove it there and ingest again"):
        run(data, other)
    assert [path.name for path in other.shared_data(data.hash).iterdir() if path.is_dir()] == []


@pytest.mark.parametrize("name", ["../../outside", "/tmp/outside", "0" * 64])
def test_a_pack_writes_nothing_but_images(data, images, run, other, contents, name, tmp_path):
    images.rename(images.with_name("elsewhere"))
    forged = BytesIO()
    with tarfile.open(fileobj=forged, mode="w") as pack:
        entry = tarfile.TarInfo(name)
        entry.size = 3
        pack.addfile(entry, BytesIO(b"bad"))
    contents.put("images.tar", forged.getvalue())
    with pytest.raises(StoreError, match="is damaged"):
        run(data, other)
    assert not [path for path in tmp_path.rglob("*") if path.name in ("outside", "0" * 64)]


def test_images_that_are_here_are_not_fetched(data, other):
    rows = read_index(data).filter(pl.col("status") == "ok")
    here, open_image = with_images_here(rows, data, other)
    assert here is rows
    with open_image(rows["path"][0]) as stream:
        assert hashlib.sha256(stream.read()).hexdigest() == rows["id"][0]
    assert not other.root.exists()
