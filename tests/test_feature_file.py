"""A feature file gives back what was put in, or an error: its pages carry checksums, its footer says what it is."""

import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from itm.core.errors import StoreError
from itm.core.types import Facts, Features
from itm.store import feature_file
from itm.store.feature_file import IN_MEMORY, ROW_GROUP, read_description, read_embeddings, read_logits, write_features

IDENTITY = {"extractor": 1, "preprocessing": {"mean": [0.5, 0.5, 0.5]}, "splits": ["train"]}

# A process with a quota of 1 MB a file, as on a full disk, and then without one.
ON_A_FULL_DISK = """
import resource, sys
from pathlib import Path
from itm.store import feature_file
from itm.core.errors import StoreError

feature_file.IN_MEMORY = 0
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
try:
    feature_file.read_embeddings(Path(sys.argv[1]))
except StoreError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(feature_file.read_embeddings(Path(sys.argv[1]))[0].shape)
"""

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
embeddings, labels, ids = read_embeddings(Path(sys.argv[1]))
seen.append(own())
total = embeddings.sum(axis=0)
seen.append(own())
done.set()
thread.join()
print(max(seen) - before)
"""


def _write(
    path: Path, rows: int, width: int = 6, logits: int = 0
) -> tuple[Features, dict[str, np.ndarray], np.ndarray, list[str]]:
    generator = np.random.default_rng(rows)
    columns = {"embedding": generator.standard_normal((rows, width), np.float32)}
    if logits:
        columns["logits"] = generator.standard_normal((rows, logits), np.float32)
    facts = Facts(parameters=10, gmacs=None, width=width, input_size=48, family="résnet", pretraining="none")
    features = Features(path, "k" * 64, "mine@2", "w" * 64, "petals", "d" * 64, rows, facts, 12.5, cached=False)
    labels, ids = generator.integers(0, 3, rows), [f"{number:064x}" for number in range(rows)]
    write_features(features, ids, labels, ["train", "val"] * (rows // 2), columns, IDENTITY)
    return features, columns, labels, ids


def test_what_is_written_is_read_back(tmp_path):
    """Embeddings, labels and ids come back exactly, in order; logits lie beside them in a column of their own width."""
    path = tmp_path / "features.parquet"
    features, columns, labels, ids = _write(path, 40, width=6, logits=4)
    embeddings, found_labels, found_ids = read_embeddings(path)
    assert embeddings.dtype == np.float32
    np.testing.assert_array_equal(embeddings, columns["embedding"])
    np.testing.assert_array_equal(found_labels, labels)
    assert found_ids == ids
    table = pq.read_table(path)
    assert table.column_names == ["id", "label", "split", "embedding", "logits"]
    assert str(table.schema.field("embedding").type) == "fixed_size_list<element: float>[6]"
    np.testing.assert_array_equal(np.array(table["logits"].to_pylist(), dtype=np.float32), columns["logits"])
    assert read_description(path) == (replace(features, cached=True), IDENTITY)


def test_rows_lie_in_groups_and_come_back_in_order(tmp_path):
    """More rows than a row group holds make several, and reading puts them together again."""
    path = tmp_path / "features.parquet"
    rows = 2 * ROW_GROUP + 2
    _, columns, labels, ids = _write(path, rows, width=3)
    footer = pq.read_metadata(path)
    assert [footer.row_group(group).num_rows for group in range(footer.num_row_groups)] == [ROW_GROUP, ROW_GROUP, 2]
    embeddings, found_labels, found_ids = read_embeddings(path)
    np.testing.assert_array_equal(embeddings, columns["embedding"])
    np.testing.assert_array_equal(found_labels, labels)
    assert found_ids == ids


def test_many_embeddings_are_mapped_and_the_same(tmp_path, monkeypatch):
    """Above the limit the arrays are those from below it, byte for byte, read-only, and lie beside the file without a name."""
    path = tmp_path / "features.parquet"
    _write(path, 2 * ROW_GROUP + 2, width=5)
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
    """A classifier's outputs come back as they were, many of them mapped; a model without one has none."""
    path, facts = tmp_path / "features.parquet", Facts(1, 0.1, 2, 48, "", "")
    features = Features(path, "k" * 64, "mine", "w" * 64, "petals", "d" * 64, 3, facts, 10.0, cached=False)
    columns = {"embedding": np.ones((3, 2), np.float32), "logits": np.arange(12, dtype=np.float32).reshape(3, 4)}
    write_features(features, ["a", "b", "c"], np.zeros(3, int), ["train"] * 3, columns, {})
    np.testing.assert_array_equal(read_logits(path), columns["logits"])
    monkeypatch.setattr(feature_file, "IN_MEMORY", 0)
    assert isinstance(read_logits(path), np.memmap)
    np.testing.assert_array_equal(read_logits(path), columns["logits"])
    write_features(features, ["a", "b", "c"], np.zeros(3, int), ["train"] * 3, {"embedding": columns["embedding"]}, {})
    assert read_logits(path) is None
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StoreError, match="remove it and run again"):
        read_logits(path)


def test_a_flipped_byte_in_any_page_of_many_is_an_error(tmp_path, monkeypatch):
    """Embeddings that are mapped are checked page by page, the last one too, and what was written till then is gone."""
    path = tmp_path / "features.parquet"
    _write(path, 2 * ROW_GROUP, width=64)  # two pages a row group
    monkeypatch.setattr(feature_file, "IN_MEMORY", 0)
    footer, whole = pq.read_metadata(path), path.read_bytes()
    for chunk in (footer.row_group(group).column(3) for group in range(2)):
        stop = chunk.data_page_offset + chunk.total_compressed_size
        for place in [*range(chunk.data_page_offset + 1000, stop, 500_000), stop - 1]:
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
            with pytest.raises(StoreError, match=r"damaged .*checksum.*; remove it and run again"):
                read_embeddings(path)
            assert os.listdir(tmp_path) == ["features.parquet"]  # noqa: PTH208


def test_a_disk_too_full_to_map_from_is_an_error(tmp_path):
    """Where the scratch file does not fit, the error says how much room is needed where; nothing stays of it."""
    path = tmp_path / "features.parquet"
    _write(path, ROW_GROUP, width=64)
    done = subprocess.run([sys.executable, "-c", ON_A_FULL_DISK, path], capture_output=True, text=True, check=True)
    error, shape = done.stdout.splitlines()
    assert error.startswith(
        f"{tmp_path}: reading features.parquet needs 2.0 MiB of room there (File too large); free that much"
    )
    assert shape == f"({ROW_GROUP}, 64)"
    assert os.listdir(tmp_path) == ["features.parquet"]  # noqa: PTH208


def test_many_embeddings_take_little_memory(tmp_path):
    """Reading 300 MiB of embeddings takes the memory of some row groups, and using them no more."""
    path = tmp_path / "features.parquet"
    _write(path, 300 * 256, width=1024)
    done = subprocess.run([sys.executable, "-c", WATCHED, path], capture_output=True, text=True, check=True)
    assert 10 < float(done.stdout) < 200


def test_the_description_needs_the_footer_alone(tmp_path):
    """What a file is can be told without reading a row: with every page blanked it is described as before, and not read."""
    path = tmp_path / "features.parquet"
    _write(path, 1000)
    described = read_description(path)
    whole = path.read_bytes()
    footer = int.from_bytes(whole[-8:-4], "little") + 8
    path.write_bytes(whole[:4] + bytes(len(whole) - 4 - footer) + whole[-footer:])
    assert read_description(path) == described
    with pytest.raises(StoreError, match="missing or damaged"):
        read_embeddings(path)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_an_error(tmp_path, share):
    """A file that was cut anywhere is neither described nor read."""
    path = tmp_path / "features.parquet"
    _write(path, 100)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(StoreError, match="is damaged or not a feature file"):
        read_description(path)
    with pytest.raises(StoreError, match=r"is missing or damaged .*; remove it and run again"):
        read_embeddings(path)


@pytest.mark.parametrize("in_memory", [0, IN_MEMORY])
def test_a_flipped_bit_is_never_read_as_a_value(tmp_path, monkeypatch, in_memory):
    """Anywhere in the file, one flipped bit is an error or changes nothing that is read; in an embedding it is an error."""
    monkeypatch.setattr(feature_file, "IN_MEMORY", in_memory)
    path = tmp_path / "features.parquet"
    _, columns, labels, ids = _write(path, 100)
    whole, described = path.read_bytes(), read_description(path)
    start = whole.index(columns["embedding"].tobytes())  # the column is stored as it is
    stop = start + columns["embedding"].nbytes
    for place in [*range(0, len(whole), 11), *range(start, stop, 101)]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with suppress(StoreError):
            assert read_description(path) == described
        try:
            embeddings, found_labels, found_ids = read_embeddings(path)
        except StoreError:
            continue
        assert not start <= place < stop
        np.testing.assert_array_equal(embeddings, columns["embedding"])
        np.testing.assert_array_equal(found_labels, labels)
        assert found_ids == ids


def test_another_parquet_file_is_no_feature_file(tmp_path):
    """A table that something else wrote is refused by both readers."""
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({"id": ["a"], "label": [1], "embedding": [1.0]}), path)
    with pytest.raises(StoreError, match="not a feature file"):
        read_description(path)
    with pytest.raises(StoreError):
        read_embeddings(path)
    with pytest.raises(StoreError):
        read_embeddings(tmp_path / "nowhere.parquet")


def test_columns_that_do_not_fit_together_leave_no_file(tmp_path):
    """With an id less than there are embeddings nothing is written, neither the file nor a part of it."""
    path = tmp_path / "features.parquet"
    features, columns, labels, ids = _write(tmp_path / "other.parquet", 10)
    with pytest.raises(ValueError, match="expected length"):
        write_features(replace(features, path=path), ids[:-1], labels, ["train"] * 10, columns, IDENTITY)
    assert [entry.name for entry in tmp_path.iterdir()] == ["other.parquet"]
