"""A feature file gives back what was written."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from itm.core.errors import StoreError
from itm.core.types import Facts, Features
from itm.store import feature_file
from itm.store.feature_file import (
    ROW_GROUP,
    read_description,
    read_embeddings,
    read_groups,
    read_logits,
    write_features,
)
from tests.store.feature_files import IDENTITY, write

# A process that reads a feature file and all its embeddings, and tells how many MiB of memory of its own that took at most.
WATCHED = """
import re, sys, threading
from pathlib import Path
from itm.store.feature_file import read_embeddings

def own():
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 2**10

def watch():
    while not done.wait(0.002):
        seen.append(own())

before, seen, done = own(), [], threading.Event()
thread = threading.Thread(target=watch)
thread.start()
embeddings, targets, ids = read_embeddings(Path(sys.argv[1]))
seen.append(own())
total = embeddings.sum(axis=0)
seen.append(own())
done.set()
thread.join()
print(max(seen) - before)
"""


def test_what_is_written_is_read_back(tmp_path):
    path = tmp_path / "features.parquet"
    features, columns, targets, ids = write(path, 40, width=6, logits=4)
    embeddings, found_targets, found_ids = read_embeddings(path)
    assert embeddings.dtype == np.float32
    np.testing.assert_array_equal(embeddings, columns["embedding"])
    np.testing.assert_array_equal(found_targets, targets)
    assert found_ids == ids
    table = pq.read_table(path)
    assert table.column_names == ["id", "group", "target", "split", "embedding", "logits"]
    assert str(table.schema.field("embedding").type) == "fixed_size_list<element: float>[6]"
    np.testing.assert_array_equal(np.array(table["logits"].to_pylist(), dtype=np.float32), columns["logits"])
    assert read_description(path) == (replace(features, cached=True), IDENTITY)


def test_columns_of_a_table_and_lists_give_the_same_bytes(tmp_path):
    path, other = tmp_path / "features.parquet", tmp_path / "other.parquet"
    features, columns, targets, ids = write(path, 40)
    table = pq.read_table(path)
    ids, groups, splits = (pl.Series(table[name].to_pylist(), dtype=pl.String) for name in ("id", "group", "split"))
    write_features(replace(features, path=other), ids, groups, targets, splits, columns, IDENTITY)
    assert other.read_bytes() == path.read_bytes()


def test_rows_without_a_group_get_a_number_of_their_own(tmp_path):
    path = tmp_path / "features.parquet"
    write(path, 8)
    assert read_groups(path).tolist() == [0, 1, 2, 3, 1, 2, 4, 5]
    write(path, 2)
    assert read_groups(path).tolist() == [0, 1]


def test_targets_may_be_numbers(tmp_path):
    path = tmp_path / "features.parquet"
    features, columns, _, ids = write(path, 4)
    write_features(features, ids, [None] * 4, np.array([0.5, -1.25, np.pi, 1e-300]), ["train"] * 4, columns, IDENTITY)
    assert read_embeddings(path)[1].tolist() == [0.5, -1.25, np.pi, 1e-300]


def test_rows_lie_in_groups_and_come_back_in_order(tmp_path):
    path = tmp_path / "features.parquet"
    rows = 2 * ROW_GROUP + 2
    _, columns, targets, ids = write(path, rows, width=3)
    footer = pq.read_metadata(path)
    assert [footer.row_group(group).num_rows for group in range(footer.num_row_groups)] == [ROW_GROUP, ROW_GROUP, 2]
    embeddings, found_targets, found_ids = read_embeddings(path)
    np.testing.assert_array_equal(embeddings, columns["embedding"])
    np.testing.assert_array_equal(found_targets, targets)
    assert found_ids == ids


def test_many_embeddings_are_mapped_and_the_same(tmp_path, monkeypatch):
    path = tmp_path / "features.parquet"
    write(path, 2 * ROW_GROUP + 2, width=5)
    expected = read_embeddings(path)
    monkeypatch.setattr(feature_file, "IN_MEMORY", expected[0].nbytes)
    assert not isinstance(read_embeddings(path)[0], np.memmap)
    monkeypatch.setattr(feature_file, "IN_MEMORY", expected[0].nbytes - 1)
    found = read_embeddings(path)
    assert isinstance(found[0], np.memmap)
    for one, other in zip(found[:2], expected[:2], strict=True):
        assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    assert found[2] == expected[2]
    for embeddings in (found[0], expected[0]):
        with pytest.raises(ValueError, match="read-only"):
            embeddings[0, 0] = 1
    assert os.listdir(tmp_path) == ["features.parquet"]  # noqa: PTH208
    mapped = [line for line in Path("/proc/self/maps").read_text().splitlines() if f" {tmp_path}/" in line]
    assert [line.endswith("(deleted)") for line in mapped] == [True]


def test_logits_are_read_as_embeddings_are(tmp_path, monkeypatch):
    path, facts = tmp_path / "features.parquet", Facts(1, 0.1, 2, 48, "", "")
    features = Features(path, "k" * 64, "mine", "w" * 64, "petals", "d" * 64, "classification", 3, facts, 10.0, cached=False)
    columns = {"embedding": np.ones((3, 2), np.float32), "logits": np.arange(12, dtype=np.float32).reshape(3, 4)}
    write_features(features, ["a", "b", "c"], [None] * 3, np.zeros(3, int), ["train"] * 3, columns, {})
    np.testing.assert_array_equal(read_logits(path), columns["logits"])
    monkeypatch.setattr(feature_file, "IN_MEMORY", 0)
    assert isinstance(read_logits(path), np.memmap)
    np.testing.assert_array_equal(read_logits(path), columns["logits"])
    write_features(
        features, ["a", "b", "c"], [None] * 3, np.zeros(3, int), ["train"] * 3, {"embedding": columns["embedding"]}, {}
    )
    assert read_logits(path) is None
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StoreError, match="remove it and run again"):
        read_logits(path)


def test_many_embeddings_take_little_memory(tmp_path):
    path = tmp_path / "features.parquet"
    write(path, 300 * 256, width=1024)
    done = subprocess.run([sys.executable, "-c", WATCHED, path], capture_output=True, text=True, check=True)
    assert 10 < float(done.stdout) < 200


def test_columns_that_do_not_fit_together_leave_no_file(tmp_path):
    path = tmp_path / "features.parquet"
    features, columns, targets, ids = write(tmp_path / "other.parquet", 10)
    with pytest.raises(ValueError, match="expected length"):
        write_features(replace(features, path=path), ids[:-1], [None] * 10, targets, ["train"] * 10, columns, IDENTITY)
    assert [entry.name for entry in tmp_path.iterdir()] == ["other.parquet"]
