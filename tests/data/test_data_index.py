"""The hash of an index is that of its usable images in the order of their ids, however many there are."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itm.core.errors import StoreError
from itm.core.keys import content_key
from itm.data import checks
from itm.data.checks import check_images
from itm.data.image_hashes import ImageHashes
from itm.data.index import SCHEMA, USED, read_index, read_usable, table_hash
from itm.data.pixels import open_file
from itm.data.rows import Row
from itm.data.sources.folder import Folder

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
ROWS = st.lists(st.tuples(TEXT, TEXT, st.sampled_from(["train", "val", ""]), st.none() | TEXT, st.booleans()))


@given(ROWS)
def test_the_hash_is_the_content_key_of_the_sorted_rows(rows):
    columns = dict(zip(("id", "target", "split", "group"), zip(*[row[:4] for row in rows], strict=True), strict=False))
    status = ["ok" if row[4] else "rejected" for row in rows]
    table = pl.DataFrame({name: columns.get(name, [None] * len(rows)) for name in SCHEMA} | {"status": status}, schema=SCHEMA)
    used = [row for row in rows if row[4]]
    width = 4 if any(row[3] is not None for row in used) else 3
    assert table_hash(table) == content_key(sorted([text or "" for text in row[:width]] for row in used))


@pytest.mark.parametrize("count", [0, 1, 7, 1000])
def test_images_are_checked_in_the_order_of_their_rows(count, tmp_path, paint):
    picture = paint(tmp_path / "a" / "0.png", 0).as_posix()
    rows = [Row(picture if number % 3 else f"{number}", f"{number}", "a") for number in range(count)]
    checked = check_images(rows, open_file, {}, ImageHashes(tmp_path / "hashes.parquet", Folder(tmp_path)))
    assert [row.relative for row in checked] == [row.relative for row in rows]
    assert [row.ok for row in checked] == [bool(number % 3) for number in range(count)]


def test_few_images_are_submitted_before_results_are_taken(tmp_path, monkeypatch):
    counts = {"waiting": 0, "most": 0}

    class Counted(Future):
        def result(self, timeout=None):
            counts["waiting"] -= 1
            return super().result(timeout)

    class Pool(ThreadPoolExecutor):
        def submit(self, function, batch):
            counts["waiting"] += 1
            counts["most"] = max(counts["most"], counts["waiting"])
            future = Counted()
            future.set_result(function(batch))
            return future

    monkeypatch.setattr(checks, "ThreadPoolExecutor", Pool)
    rows = [Row(f"{number}", f"{number}", "a") for number in range(5000)]
    check_images(rows, open_file, {}, ImageHashes(tmp_path / "hashes.parquet", Folder(tmp_path)))
    assert 0 < counts["most"] <= 32
    assert counts["waiting"] == 0


def test_usable_images_are_those_of_the_index(petals, take):
    (petals / "rose" / "bad.png").write_bytes(b"no image")
    data = take(f"folder:{petals}")
    usable = read_usable(data)
    assert usable.equals(read_index(data).filter(status="ok").select(USED))
    assert len(usable) == 20


def test_usable_images_of_another_or_damaged_index_are_refused(petals, take):
    data = take(f"folder:{petals}")
    with pytest.raises(StoreError, match="is not the index of petals as it was ingested"):
        read_usable(replace(data, hash="0" * 64))
    pl.DataFrame({"id": ["a"]}).write_parquet(data.index)
    with pytest.raises(StoreError, match="is not the index of petals as it was ingested"):
        read_usable(data)
    for content in (b"", b"no table"):
        data.index.write_bytes(content)
        with pytest.raises(StoreError, match="damaged"):
            read_usable(data)
    data.index.unlink()
    with pytest.raises(StoreError, match="missing"):
        read_usable(data)


def test_the_index_can_be_queried_lazily(petals, take):
    data = take(f"folder:{petals}")
    counts = pl.scan_parquet(data.index, glob=False).filter(pl.col("status") == "ok").group_by("target").len().collect()
    assert dict(counts.iter_rows()) == {"daisy": 10, "rose": 10}


def test_a_folder_with_the_characters_of_a_pattern_is_no_pattern(petals, take):
    data = take(f"folder:{petals}")
    place = petals.parent / "a*[0-9]=b" / "index.parquet"
    place.parent.mkdir()
    data.index.rename(place)
    assert len(read_usable(replace(data, index=place))) == 20
