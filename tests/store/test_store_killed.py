"""Files that a killed process leaves in the store are removed by the next run."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from itm.store.files import read_json, write_atomically, write_json
from itm.store.layout import Store

# A process that is killed while it writes a file and a folder.
HALF_WAY = """
import sys, time
from pathlib import Path
from itm.store.layout import file_name
from itm.store.files import write_atomically

root = Path(sys.argv[1])

def file(path):
    path.write_text("half")
    write_atomically(root / "raw" / f"{sys.argv[2]} folder-1-2", folder)

def folder(path):
    path.mkdir()
    (path / "image.png").write_text("half")
    print("half way", flush=True)
    time.sleep(600)

write_atomically(root / "cache" / f"{sys.argv[2]}-0123456789abcdef.json", file)
"""

# A process that is killed while it has a scratch file: while writing, or while the file has a name.
WITH_A_SCRATCH_FILE = """
import os, signal, sys
if sys.argv[2] == "named":
    del os.O_TMPFILE  # some systems cannot open unnamed files
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


def test_files_of_killed_processes_are_removed(tmp_path, caplog):
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
        assert store.remove_abandoned() == 0
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert len(_temporaries(tmp_path)) == 5
        assert store.remove_abandoned() == 2
        left = _temporaries(tmp_path)
        assert len(left) == 3
        assert elsewhere in left
        assert sum(f"-{living.pid}-" in path.name for path in left) >= 2
        assert caplog.text.count("an incomplete file of a process that has ended") == 2
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
    assert store.remove_abandoned() == 2


def test_reused_process_id_does_not_protect_abandoned_files(tmp_path):
    writer = subprocess.Popen([sys.executable, "-c", HALF_WAY, tmp_path, "killed"], stdout=subprocess.PIPE)
    assert writer.stdout
    writer.stdout.readline()
    writer.kill()
    writer.communicate()
    for path in _temporaries(tmp_path):
        path.rename(path.with_name(path.name.replace(f"-{writer.pid}-", f"-{os.getpid()}-")))
    mine = []
    write_json(tmp_path / "mine.json", 1)
    removed = Store(tmp_path).remove_abandoned
    write_atomically(tmp_path / "mine.txt", lambda temporary: mine.append((temporary.write_text("half"), removed())))
    assert mine == [(4, 2)]
    assert (tmp_path / "mine.txt").read_text() == "half"


def test_files_of_another_container_with_this_host_name_are_kept_for_a_day(tmp_path):
    ids = str(Path("/proc/self/ns/pid").stat().st_ino)
    names: list[str] = []
    write_atomically(tmp_path / "mine.txt", lambda temporary: names.append(temporary.name) or temporary.write_text("whole"))
    other = tmp_path / names[0].replace(f".{ids}-", ".1-").replace(f"-{os.getpid()}-", "-999999999-")
    other.write_text("half")
    assert Store(tmp_path).remove_abandoned() == 0
    os.utime(other, (time.time() - 90_000,) * 2)
    assert Store(tmp_path).remove_abandoned() == 1


def test_longest_names_of_files_and_hosts_fit(tmp_path, monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "h" * 64)
    path = Store(tmp_path).features("d" * 300, "m" * 300, "0" * 64)
    write_json(path, 1)
    assert read_json(path) == 1


@pytest.mark.parametrize(("moment", "left"), [("half-written", 0), ("named", 1)])
def test_scratch_file_of_killed_process_is_removed(tmp_path, moment, left):
    done = subprocess.run([sys.executable, "-c", WITH_A_SCRATCH_FILE, tmp_path, moment], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(os.listdir(tmp_path)) == left  # noqa: PTH208
    assert Store(tmp_path).remove_abandoned() == left
    assert os.listdir(tmp_path) == []  # noqa: PTH208


def test_removing_abandoned_files_of_missing_store_does_nothing(tmp_path):
    assert Store(tmp_path / "nowhere").remove_abandoned() == 0
