"""One computation a device at a time, whoever asks for it."""

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
import torch

from itm.features.devices import first_free, leased, lock_folder

HOLD = """
import sys
from pathlib import Path
from itm.features.devices import first_free

with first_free(["a", "b"], Path(sys.argv[1])) as place:
    print(place, flush=True)
    input()
"""


def test_two_devices_are_held_by_two_and_the_third_waits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with first_free(["a", "b"], tmp_path) as one, first_free(["a", "b"], tmp_path) as other:
        assert {one, other} == {0, 1}
        got: list[int] = []

        def third() -> None:
            with first_free(["a", "b"], tmp_path) as place:
                got.append(place)

        waiting = threading.Thread(target=third)
        waiting.start()
        waiting.join(1)
        assert got == []
        assert caplog.messages == [f"waiting for a GPU: other processes use all (locks in {tmp_path})"]
    waiting.join(30)
    assert got in ([0], [1])


def test_another_process_holds_it_too_until_it_is_killed(tmp_path: Path) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "0\n"
    with first_free(["a", "b"], tmp_path) as place:
        assert place == 1
    other.kill()
    other.communicate()
    with first_free(["a", "b"], tmp_path) as place:
        assert place == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_lock_of_another_user_can_be_taken_once_it_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o1777)  # like /tmp
        monkeypatch.setattr(tempfile, "tempdir", folder)
        with first_free(["a"], lock_folder()):
            pass
        os.seteuid(65534)
        try:
            with first_free(["a"], lock_folder()) as place:
                assert place == 0
        finally:
            os.seteuid(0)


def test_a_cpu_is_shared() -> None:
    with leased(torch.device("cpu")) as one, leased(torch.device("cpu")) as other:
        assert one == other == torch.device("cpu")
