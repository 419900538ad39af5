"""Files of the store: atomic writes, equal bytes and damage."""

import os
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from itm.core.errors import StoreError
from itm.store.files import check_space, read_json, read_table, write_atomically, write_json, write_table
from itm.store.layout import Store, file_name

TABLE = pl.DataFrame(
    {
        "name": ["a", "b", None] * 500,
        "number": [1, None, 3] * 500,
        "value": [0.5, float("inf"), None] * 500,
        "none": [None] * 1500,
    },
    schema={"name": pl.String, "number": pl.Int64, "value": pl.Float64, "none": pl.String},
)

# A process with a limit of 20 kB per file. Writing fails like on a full disk.
ON_A_FULL_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
import polars as pl
from itm.core.errors import StoreError
from itm.store.feature_file import write_features
from itm.store.files import write_json, write_table
from itm.core.types import Facts, Features

folder = Path(sys.argv[1])
numbers = np.random.default_rng(0).normal(size=(5000, 4))
facts = Facts(1, None, 4, 8, "", "")
features = Features(folder / "old.features", "key", "m", "w", "d", "h", "classification", 5000, facts, 1.0, False)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
for write in (
    lambda: write_json(folder / "old.json", numbers.tolist()),
    lambda: write_table(folder / "old.parquet", pl.DataFrame(numbers)),
    lambda: write_features(
        features, list(map(str, range(5000))), [None] * 5000, numbers[:, 0], ["train"] * 5000, {"embedding": numbers}, {}
    ),
):
    try:
        write()
    except StoreError as error:
        print(error)
"""


def test_failed_write_keeps_old_file(tmp_path):
    path = tmp_path / "kept.txt"
    path.write_text("old")

    def write(temporary: Path) -> None:
        temporary.write_text("half of the new")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, write)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["kept.txt"]  # noqa: PTH208


def test_full_disk_keeps_old_files(tmp_path):
    names = ["old.features", "old.json", "old.parquet"]
    for name in names:
        (tmp_path / name).write_text("old")
    done = subprocess.run([sys.executable, "-c", ON_A_FULL_DISK, tmp_path], capture_output=True, text=True, check=True)
    messages = done.stdout.splitlines()
    assert sorted(line.partition(": cannot be written (")[0] for line in messages) == [str(tmp_path / name) for name in names]
    assert all("File too large" in line and "free space" in line for line in messages)
    assert sorted(os.listdir(tmp_path)) == names  # noqa: PTH208
    assert {(tmp_path / name).read_text() for name in names} == {"old"}


def test_a_file_that_will_not_fit_is_named_with_what_is_missing(tmp_path):
    check_space(tmp_path / "not" / "yet" / "there.parquet", 1000)
    with pytest.raises(StoreError, match=r"there\.parquet: needs 1,073,741,824\.0 MiB of disk space, and [\d,.]+ MiB are free"):
        check_space(tmp_path / "there.parquet", 2**50)


def test_equal_values_give_equal_bytes(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1.5, "a": [1, "é"]})
    write_table(tmp_path / "a.parquet", TABLE)
    time.sleep(0.01)
    write_json(tmp_path / "b.json", {"a": [1, "é"], "b": 1.5})
    write_table(tmp_path / "b.parquet", pl.concat([TABLE[:700], TABLE[700:]], rechunk=False))
    for kind in ("json", "parquet"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


def test_table_round_trip(tmp_path):
    path = tmp_path / "year=2024" / "[draft]*" / "table.parquet"
    write_table(path, TABLE)
    found = read_table(path)
    assert found.equals(TABLE)
    assert found.schema == TABLE.schema


def test_damaged_table_is_an_error(tmp_path):
    path = tmp_path / "table.parquet"
    write_table(path, TABLE)
    whole = path.read_bytes()
    refused = 0
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        try:
            found = read_table(path)
            assert found.equals(TABLE) or found.schema != TABLE.schema
        except StoreError as error:
            refused += 1
            assert "run again" in str(error)  # noqa: PT017
    assert refused > len(whole) / 7 / 2
    for length in (0, 3, 12, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(StoreError, match="is damaged"):
            read_table(path)


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"\xff\xfe"])
def test_damaged_json_is_an_error(tmp_path, content):
    path = tmp_path / "value.json"
    with pytest.raises(StoreError, match="cannot be read"):
        read_json(path)
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"is damaged .*; remove it and run again"):
        read_json(path)


def test_missing_table_is_an_error(tmp_path):
    with pytest.raises(StoreError, match="is missing"):
        read_table(tmp_path / "table.parquet")
    (tmp_path / "table.parquet").mkdir()
    with pytest.raises(StoreError):
        read_table(tmp_path / "table.parquet")


def test_long_ranking_names_have_different_folders(tmp_path):
    names = [f"a data set with the number {number}" for number in range(30)]
    stores = [Store(tmp_path, file_name("+".join(names[:count]))) for count in (1, 29, 30)]
    for number, store in enumerate(stores):
        write_json(store.ranking, number)
    assert [read_json(store.ranking) for store in stores] == [0, 1, 2]
    assert Store(tmp_path).ranking == tmp_path / "scores" / "ranking.json"
    assert len({store.index("x") for store in stores}) == 3
    assert {store.features("x", "m", "0" * 64) for store in stores} == {Store(tmp_path).features("x", "m", "0" * 64)}
