import os
import signal
import subprocess
import sys

import psutil
import pytest

from itm.core import processes
from itm.core.processes import descendants, send_signal


@pytest.fixture(params=["/proc", "ps"])
def system(request, monkeypatch):
    """List processes as Linux and as other systems do."""
    if request.param == "ps":
        monkeypatch.setattr(processes, "PROC", processes.PROC / "nowhere")


@pytest.mark.usefixtures("system")
def test_children_and_their_children_are_descendants():
    shell = "sleep 60 & echo started; wait"
    with subprocess.Popen(["sh", "-c", shell], stdout=subprocess.PIPE, start_new_session=True) as child:
        child.stdout.readline()
        family = {child.pid, *(one.pid for one in psutil.Process(child.pid).children())}
        assert len(family) == 2
        assert family <= descendants()
        send_signal(family, signal.SIGKILL)
        psutil.wait_procs([psutil.Process(pid) for pid in family if psutil.pid_exists(pid)], timeout=5)
        assert not family & descendants()  # not even before it is waited for
        send_signal(family, signal.SIGKILL)


@pytest.mark.parametrize("proc", ["/proc", "/nowhere"])
def test_the_resource_tracker_is_left_to_clean_up(proc):
    code = f"""
from pathlib import Path
from itm.core import processes
processes.PROC = Path("{proc}")
from multiprocessing import resource_tracker
from itm.core.processes import descendants
resource_tracker.ensure_running()
print(resource_tracker._resource_tracker._pid in descendants())
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed == "False\n"
    assert os.getpid() not in descendants()
