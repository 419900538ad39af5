"""A damaged feature file is an error, never a wrong value: pages have checksums, and the footer describes the file."""

import os
import subprocess
import sys
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from itm.core.errors import StoreError
from itm.store import feature_file
from itm.store.feature_file import (
    IN_MEMORY,
    ROW_GROUP,
    read_description,
    read_embeddings,
    read_groups,
)
from tests.store.feature_files import write

pytestmark = pytest.mark.slow

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


def test_a_flipped_byte_in_any_page_of_many_is_an_error(tmp_path, monkeypatch):
    path = tmp_path / "features.parquet"
    write(path, 2 * ROW_GROUP, width=64)  # two pages a row group
    monkeypatch.setattr(feature_file, "IN_MEMORY", 0)
    footer, whole = pq.read_metadata(path), path.read_bytes()
    for chunk in (footer.row_group(group).column(4) for group in range(2)):
        stop = chunk.data_page_offset + chunk.total_compressed_size
        for place in [*range(chunk.data_page_offset + 1000, stop, 500_000), stop - 1]:
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
            with pytest.raises(StoreError, match=r"damaged .*checksum.*; remove it and run again"):
                read_embeddings(path)
            assert os.listdir(tmp_path) == ["features.parquet"]  # noqa: PTH208


def test_a_disk_too_full_to_map_from_is_an_error(tmp_path):
    path = tmp_path / "features.parquet"
    write(path, ROW_GROUP, width=64)
    done = subprocess.run([sys.executable, "-c", ON_A_FULL_DISK, path], capture_output=True, text=True, check=True)
    error, shape = done.stdout.splitlines()
    assert error.startswith(
        f"{tmp_path}: reading features.parquet needs 2.0 MiB of disk space there (File too large); free space"
    )
    assert shape == f"({ROW_GROUP}, 64)"
    assert os.listdir(tmp_path) == ["features.parquet"]  # noqa: PTH208


def test_the_description_needs_the_footer_alone(tmp_path):
    path = tmp_path / "features.parquet"
    write(path, 1000)
    described = read_description(path)
    whole = path.read_bytes()
    footer = int.from_bytes(whole[-8:-4], "little") + 8
    path.write_bytes(whole[:4] + bytes(len(whole) - 4 - footer) + whole[-footer:])
    assert read_description(path) == described
    with pytest.raises(StoreError, match="missing or damaged"):
        read_embeddings(path)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_an_error(tmp_path, share):
    path = tmp_path / "features.parquet"
    write(path, 100)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(StoreError, match="is damaged or not a feature file"):
        read_description(path)
    with pytest.raises(StoreError, match=r"is missing or damaged .*; remove it and run again"):
        read_embeddings(path)


@pytest.mark.parametrize("in_memory", [0, IN_MEMORY])
def test_a_flipped_bit_is_never_read_as_a_value(tmp_path, monkeypatch, in_memory):
    monkeypatch.setattr(feature_file, "IN_MEMORY", in_memory)
    path = tmp_path / "features.parquet"
    _, columns, targets, ids = write(path, 100)
    whole, described, groups = path.read_bytes(), read_description(path), read_groups(path)
    start = whole.index(columns["embedding"].tobytes())  # the column is stored as it is
    stop = start + columns["embedding"].nbytes
    for place in [*range(0, len(whole), 11), *range(start, stop, 101)]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with suppress(StoreError):
            assert read_description(path) == described
        with suppress(StoreError):
            np.testing.assert_array_equal(read_groups(path), groups)
        try:
            embeddings, found_targets, found_ids = read_embeddings(path)
        except StoreError:
            continue
        assert not start <= place < stop
        np.testing.assert_array_equal(embeddings, columns["embedding"])
        np.testing.assert_array_equal(found_targets, targets)
        assert found_ids == ids


def test_another_parquet_file_is_no_feature_file(tmp_path):
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({"id": ["a"], "target": [1], "embedding": [1.0]}), path)
    with pytest.raises(StoreError, match="not a feature file"):
        read_description(path)
    with pytest.raises(StoreError):
        read_embeddings(path)
    with pytest.raises(StoreError):
        read_embeddings(tmp_path / "nowhere.parquet")
