"""A place that cannot be written or read is named with the cause and the fix, before work is lost."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from itm.core.errors import StoreError
from itm.store.files import delete, exists, read_json, write_json
from itm.store.layout import Store

# Writes a record, a table and the folders of a store on a full disk, and where nothing may be written.
IN_OTHER_PLACES = """
import os, subprocess, sys
from pathlib import Path
import polars as pl
from itm.core.errors import StoreError
from itm.core.secrets import error_message
from itm.store.files import write_json, write_table
from itm.store.layout import Store

def tried(state, *writes):
    for write in writes:
        try:
            write()
        except StoreError as error:
            print(state, error)

root = Path(sys.argv[1])
table = pl.DataFrame({"x": [os.urandom(16).hex() for _ in range(9999)]})
mount = lambda place, options: subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=True)
mount(root, "size=64k")
tried("full", lambda: write_json(root / "a.json", "x" * 99_000), lambda: write_table(root / "a.parquet", table))
left = os.listdir(root)
mount(root, "size=64k,nr_inodes=2")
tried("full", Store(root).make_folders)
mount(root, "ro")
tried("read-only", lambda: write_json(root / "a.json", 1), lambda: write_table(root / "a.parquet", table))
tried("read-only", Store(root).make_folders)
print("left", left)
"""


def _dead_link(root: Path) -> None:
    (root / "store").symlink_to(root / "unmounted")


def _file(*names: str) -> Callable[[Path], None]:
    def place(root: Path) -> None:
        path = root.joinpath(*names)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a file")

    return place


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (
            _dead_link,
            "indexes: cannot be written: {root}/store is a link to {root}/unmounted, which does not exist; create",
        ),
        (_file("store"), "indexes: cannot be written: {root}/store is a file, not a folder; move it away or change `store`."),
        (_file("store", "cache"), "cache: cannot be written: {root}/store/cache is a file, not a folder; move it away"),
        (_file("store", "scores"), "scores: cannot be written: {root}/store/scores is a file, not a folder; move it away"),
        (_file("store", "reports"), "reports: cannot be written: {root}/store/reports is a file, not a folder; move it"),
        (_file("store", "raw"), "raw: cannot be written: {root}/store/raw is a file, not a folder; move it away"),
    ],
)
def test_an_unwritable_store_is_found_before_any_work(tmp_path: Path, place: Callable[[Path], None], message: str) -> None:
    place(tmp_path)
    with pytest.raises(StoreError) as caught:
        Store(tmp_path / "store").make_folders()
    assert str(caught.value).startswith(f"{tmp_path}/store/{message.format(root=tmp_path)}")


def test_the_check_leaves_nothing_in_the_store(tmp_path: Path) -> None:
    Store(tmp_path / "store").make_folders()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["indexes", "raw", "store"]


def test_a_place_in_the_way_is_named_when_a_file_is_written(tmp_path: Path) -> None:
    (tmp_path / "scores").write_text("a file")
    with pytest.raises(StoreError, match=rf"b\.json: cannot be written: {tmp_path}/scores is a file, not a folder; move it"):
        write_json(tmp_path / "scores" / "a" / "b.json", 1)
    (tmp_path / "c.json").mkdir()
    with pytest.raises(StoreError, match=r"c\.json: cannot be written: it is a folder; remove it and run again"):
        write_json(tmp_path / "c.json", 1)
    with pytest.raises(StoreError, match=r"c\.json: cannot be written: it is a folder; remove it"):
        delete(tmp_path / "c.json")
    with pytest.raises(StoreError, match=r"c\.json: cannot be read \(Is a directory\)"):
        read_json(tmp_path / "c.json")


def test_full_and_read_only_file_systems_are_named_without_error_numbers(tmp_path: Path) -> None:
    shell = ["unshare", "--map-root-user", "--mount"]
    if subprocess.run([*shell, "mount", "-t", "tmpfs", "tmpfs", tmp_path], capture_output=True).returncode:
        pytest.skip("no mount namespaces here")
    done = subprocess.run(
        [*shell, sys.executable, "-c", IN_OTHER_PLACES, tmp_path], capture_output=True, text=True, timeout=120
    )
    lines = done.stdout.splitlines()
    assert lines[-1] == "left []", done.stderr
    full = "cannot be written (No space left on device); free space there, or change `store` in params."
    read_only = "cannot be written (Read-only file system); mount it writable, or change `store` in params."
    written = [f"{tmp_path}/{name}" for name in ("a.json", "a.parquet", "indexes")]
    assert lines[:3] == [f"full {path}: {full}" for path in written]
    assert lines[3:6] == [f"read-only {path}: {read_only}" for path in written]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_files_of_another_user_count_as_missing_and_are_named_when_written(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir(mode=0o700)
    write_json(own / "a.json", 1)
    folders = [folder for folder in (tmp_path, *tmp_path.parents) if folder.stat().st_mode & 0o077 == 0]
    for folder in folders:
        folder.chmod(0o755)
    os.seteuid(65534)
    try:
        assert not exists(own / "a.json")
        with pytest.raises(StoreError, match=r"a\.json: cannot be read \(Permission denied\); change its permissions"):
            read_json(own / "a.json")
        with pytest.raises(StoreError, match=r"b\.json: cannot be written \(Permission denied\); change its permissions"):
            write_json(own / "b.json", 1)
    finally:
        os.seteuid(0)
        for folder in folders:
            folder.chmod(0o700)
