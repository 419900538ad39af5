"""What lies in the store is whole: old or new, never half, never changed unseen, and killed writers leave nothing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from itm.core.errors import StoreError
from itm.store.files import read_json, read_table, write_beside, write_json, write_table
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

# A process with a quota of 20 kB a file: the kernel refuses the rest, as it does when the disk is full.
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
features = Features(folder / "old.features", "key", "m", "w", "d", "h", 5000, Facts(1, None, 4, 8, "", ""), 1.0, False)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
for write in (
    lambda: write_json(folder / "old.json", numbers.tolist()),
    lambda: write_table(folder / "old.parquet", pl.DataFrame(numbers)),
    lambda: write_features(features, list(map(str, range(5000))), numbers[:, 0], ["train"] * 5000, {"embedding": numbers}, {}),
):
    try:
        write()
    except StoreError as error:
        print(error)
"""

# A process that has half-written a file and a folder when it is stopped for good.
HALF_WAY = """
import sys, time
from pathlib import Path
from itm.store.layout import file_name
from itm.store.files import write_beside

root = Path(sys.argv[1])

def file(path):
    path.write_text("half")
    write_beside(root / "raw" / f"{sys.argv[2]} folder-1-2", folder)

def folder(path):
    path.mkdir()
    (path / "image.png").write_text("half")
    print("half way", flush=True)
    time.sleep(600)

write_beside(root / "cache" / f"{sys.argv[2]}-0123456789abcdef.json", file)
"""

# A process that is stopped for good while it has a scratch file: when it is half-written, or in the moment when it has a name.
WITH_A_SCRATCH_FILE = """
import os, signal, sys
if sys.argv[2] == "named":
    del os.O_TMPFILE  # some systems can open no file without a name
from pathlib import Path
from itm.store.files import scratch_file

def stop(*_):
    os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[2] == "named":
    sys.addaudithook(lambda event, _: event == "os.remove" and stop())
with scratch_file(Path(sys.argv[1])) as scratch:
    scratch.write(bytes(100_000))
    stop()
"""


def _temporaries(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob(".tmp-*"))


def test_a_writer_that_fails_leaves_the_old_file(tmp_path):
    """Whatever the writer raises passes through; the file is what it was and nothing lies beside it."""
    path = tmp_path / "kept.txt"
    path.write_text("old")

    def write(temporary: Path) -> None:
        temporary.write_text("half of the new")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_beside(path, write)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["kept.txt"]  # noqa: PTH208


def test_a_full_disk_leaves_the_old_files(tmp_path):
    """JSON, tables and features that do not fit are errors that say so, and the old files stay whole."""
    names = ["old.features", "old.json", "old.parquet"]
    for name in names:
        (tmp_path / name).write_text("old")
    done = subprocess.run([sys.executable, "-c", ON_A_FULL_DISK, tmp_path], capture_output=True, text=True, check=True)
    told = done.stdout.splitlines()
    assert sorted(line.partition(": cannot be written (")[0] for line in told) == [str(tmp_path / name) for name in names]
    assert all("File too large" in line and "free space" in line for line in told)
    assert sorted(os.listdir(tmp_path)) == names  # noqa: PTH208
    assert {(tmp_path / name).read_text() for name in names} == {"old"}


def test_a_place_that_cannot_be_written_is_an_error(tmp_path):
    """A file where a folder is needed is a StoreError that names the place."""
    (tmp_path / "scores").write_text("a file")
    with pytest.raises(StoreError, match=r"scores/scores\.json: cannot be written \(File exists\)"):
        write_json(tmp_path / "scores" / "scores.json", 1)
    with pytest.raises(StoreError, match=r"a/b\.json: cannot be written \(Not a directory\)"):
        write_json(tmp_path / "scores" / "a" / "b.json", 1)


def test_what_a_killed_process_left_is_swept_away(tmp_path, caplog):
    """SIGKILL gives a writer no chance to tidy up: the next run does, and leaves a living writer and other hosts alone."""
    store = Store(tmp_path)
    writers = [
        subprocess.Popen([sys.executable, "-c", HALF_WAY, tmp_path, name], stdout=subprocess.PIPE)
        for name in ("killed", "living")
    ]
    killed, living = writers
    try:
        for writer in writers:
            assert writer.stdout
            assert writer.stdout.readline() == b"half way\n"
        elsewhere = tmp_path / "cache" / _temporaries(tmp_path)[0].name.replace(".tmp-", ".tmp-elsewhere")
        elsewhere.touch()
        assert store.sweep() == 0
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert len(_temporaries(tmp_path)) == 5
        assert store.sweep() == 2
        left = _temporaries(tmp_path)
        assert len(left) == 3
        assert elsewhere in left
        assert sum(f"-{living.pid}-" in path.name for path in left) >= 2
        assert caplog.text.count("left half-written by a process that is gone") == 2
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
    assert store.sweep() == 2


def test_a_process_number_that_came_back_does_not_protect_what_was_left(tmp_path):
    """In a restarted container the new process may have the killed one's number; only its own files are its own."""
    writer = subprocess.Popen([sys.executable, "-c", HALF_WAY, tmp_path, "killed"], stdout=subprocess.PIPE)
    assert writer.stdout
    writer.stdout.readline()
    writer.kill()
    writer.communicate()
    for path in _temporaries(tmp_path):
        path.rename(path.with_name(path.name.replace(f"-{writer.pid}-", f"-{os.getpid()}-")))
    mine = []
    write_json(tmp_path / "mine.json", 1)
    write_beside(tmp_path / "mine.txt", lambda temporary: mine.append((temporary.write_text("half"), Store(tmp_path).sweep())))
    assert mine == [(4, 2)]
    assert (tmp_path / "mine.txt").read_text() == "half"


@pytest.mark.parametrize(("moment", "left"), [("half-written", 0), ("named", 1)])
def test_a_killed_process_leaves_no_scratch_file_that_is_not_swept(tmp_path, moment, left):
    """A scratch file has no name to stay under; where it needs one for a moment, the next run knows it."""
    done = subprocess.run([sys.executable, "-c", WITH_A_SCRATCH_FILE, tmp_path, moment], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(os.listdir(tmp_path)) == left  # noqa: PTH208
    assert Store(tmp_path).sweep() == left
    assert os.listdir(tmp_path) == []  # noqa: PTH208


def test_sweeping_a_store_that_is_not_there_finds_nothing(tmp_path):
    """The first run has nothing to tidy up."""
    assert Store(tmp_path / "nowhere").sweep() == 0


def test_equal_values_give_equal_bytes(tmp_path):
    """Neither the order of keys nor the time nor how a table was put together shows in the files."""
    write_json(tmp_path / "a.json", {"b": 1.5, "a": [1, "é"]})
    write_table(tmp_path / "a.parquet", TABLE)
    time.sleep(0.01)
    write_json(tmp_path / "b.json", {"a": [1, "é"], "b": 1.5})
    write_table(tmp_path / "b.parquet", pl.concat([TABLE[:700], TABLE[700:]], rechunk=False))
    for kind in ("json", "parquet"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


def test_tables_come_back_as_they_were(tmp_path):
    """Types, gaps and infinities survive, and neither wildcards nor `key=value` in the path mean anything."""
    path = tmp_path / "year=2024" / "[draft]*" / "table.parquet"
    write_table(path, TABLE)
    found = read_table(path)
    assert found.equals(TABLE)
    assert found.schema == TABLE.schema


def test_a_changed_or_cut_table_is_damaged(tmp_path):
    """One flipped bit is an error, or shows in names or types: no wrong value is read, and a cut file is an error."""
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
    """What is no JSON is damaged, and the message says what to do; what is not there cannot be read."""
    path = tmp_path / "value.json"
    with pytest.raises(StoreError, match="cannot be read"):
        read_json(path)
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"is damaged .*; remove it and run again"):
        read_json(path)


def test_missing_tables_are_errors(tmp_path):
    """A table that is not there is missing, a folder in its place is no table."""
    with pytest.raises(StoreError, match="is missing"):
        read_table(tmp_path / "table.parquet")
    (tmp_path / "table.parquet").mkdir()
    with pytest.raises(StoreError):
        read_table(tmp_path / "table.parquet")


def test_each_ranking_has_its_own_folder_however_many_data_sets_it_has(tmp_path):
    """A ranking of thirty data sets has a name longer than a file system takes; it is cut, and others do not share it."""
    names = [f"a data set with the number {number}" for number in range(30)]
    stores = [Store(tmp_path, file_name("+".join(names[:count]))) for count in (1, 29, 30)]
    for number, store in enumerate(stores):
        write_json(store.ranking, number)
    assert [read_json(store.ranking) for store in stores] == [0, 1, 2]
    assert Store(tmp_path).ranking == tmp_path / "scores" / "ranking.json"
    assert len({store.index("x") for store in stores}) == 3
    assert {store.features("x", "m", "0" * 64) for store in stores} == {Store(tmp_path).features("x", "m", "0" * 64)}
