"""Archives that change, and the copies of compressed tar files in the store."""

import hashlib
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from itm.core.errors import DataError
from itm.core.sections import DataParams
from itm.data.archives.opened import open_archive
from itm.data.archives.unpacked import readable_tar
from itm.data.index import describe_changes, read_index
from itm.data.ingest import ingest
from itm.data.pack import with_images_here
from itm.store.layout import Store
from tests.data.archives import pack


def test_a_changed_archive_is_seen_and_an_unchanged_one_is_not_read_again(tmp_path, members, take, store, monkeypatch):
    path = pack(tmp_path / "petals.tar", members)
    os.utime(path, (1_000_000_000, 1_000_000_000))
    monkeypatch.setattr("itm.data.image_hashes.SETTLED", 0)
    first = take(path)
    assert describe_changes(str(path), False, store) == ""
    opened = []
    monkeypatch.setattr("itm.data.sources.archive.open_member", lambda location: opened.append(location))
    assert take(path) == first
    assert opened == []
    monkeypatch.undo()
    del members["rose/19.png"]
    pack(path, members)
    os.utime(path, (900_000_000, 900_000_000))  # older than the index
    assert describe_changes(str(path), True, store).startswith("1 file changed;")
    assert take(path).images == 19
    path.unlink()
    with pytest.raises(DataError, match="no such file"):
        take(f"tar:{path}")


def test_an_unpacked_copy_is_written_once_and_replaced_with_its_archive(tmp_path, members, take, store):
    path = pack(tmp_path / "petals.tar.gz", members)
    take(path)
    (copy,) = store.unpacked.rglob("*.tar")
    state = copy.stat()
    take(path)
    assert copy.stat() == state
    del members["rose/19.png"]
    pack(path, members)
    assert take(path).images == 19
    (other,) = store.unpacked.rglob("*.tar")
    assert other != copy


def test_an_archive_is_unpacked_once_by_several_threads(tmp_path, members, store, caplog):
    path = pack(tmp_path / "petals.tar.gz", members)
    caplog.set_level("INFO")
    with ThreadPoolExecutor(4) as pool:
        copies = {*pool.map(lambda _: readable_tar(path, store), range(8))}
    assert copies == {*store.unpacked.rglob("*.tar")}
    assert caplog.text.count("unpacking") == 1


def test_an_unpacking_that_was_killed_is_begun_again(tmp_path, members, store):
    path = pack(tmp_path / "petals.tar.gz", members)
    code = (
        "import os, sys, tarfile; from pathlib import Path; from itm.store.layout import Store\n"
        "from itm.data.archives import unpacked\n"
        "tarfile.TarFile.addfile = lambda *_: os._exit(9)\n"
        "unpacked.readable_tar(Path(sys.argv[1]), Store(Path(sys.argv[2])))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path), str(store.root)], capture_output=True, check=False)
    assert done.returncode == 9
    assert not [*store.unpacked.rglob("[!.]*.tar")]
    copy = readable_tar(path, store)
    assert sorted(open_archive(copy).names) == sorted(members)
    store.remove_abandoned()
    assert [*store.unpacked.rglob("*.tar")] == [copy]


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_another_machine_gets_the_images_from_the_shared_place(kind, tmp_path, members):
    shared = f"file://{tmp_path}/place"
    one, other = Store(tmp_path / "one", shared=shared), Store(tmp_path / "other", shared=shared)
    path = pack(tmp_path / f"petals.{kind}", members)
    data = ingest(str(path), DataParams(), one)
    rows = read_index(data).filter(status="ok")
    assert with_images_here(rows, data, one)[0] is rows
    path.unlink()
    shutil.rmtree(one.unpacked, ignore_errors=True)
    here, open_image = with_images_here(rows, data, other)
    for location, id_ in here.select("path", "id").iter_rows():
        with open_image(location) as stream:
            assert hashlib.sha256(stream.read()).hexdigest() == id_
