"""Progress bars: shown on a terminal, one display for all, and never in the way of log lines."""

import os
import pty
import subprocess
import sys

from itm.core.progress import progress_bar

SCRIPT = """
import logging, threading, time
from itm.core.logs import log_to_terminal
from itm.core.progress import progress_bar

log_to_terminal()

def work(name):
    with progress_bar(name, 10, "images") as advance:
        for step in range(10):
            advance(1)
            time.sleep(0.1)
            if step == 5:
                logging.getLogger("itm").info("%s is half done", name)

threads = [threading.Thread(target=work, args=(name,)) for name in ("first", "second")]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("the end")
"""


def in_terminal(code: str) -> str:
    """Run code with a terminal as its output, and return all that was written to it."""
    leader, follower = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen([sys.executable, "-c", code], stdout=follower, stderr=follower, env=environment)
    os.close(follower)
    written = b""
    try:
        while part := os.read(leader, 65536):
            written += part
    except OSError:  # the terminal is closed
        pass
    os.close(leader)
    assert process.wait() == 0
    return written.decode()


def test_bars_share_a_display_and_log_lines_stay_whole():
    written = in_terminal(SCRIPT)
    for name in ("first", "second"):
        assert name in written
        assert any(line.rstrip("\r").endswith(f"INFO    {name} is half done") for line in written.split("\n"))
    assert any(f"{done}/10" in written for done in range(5, 11))  # how often a busy machine draws is not said
    assert written.rstrip().endswith("the end")


def test_nothing_is_shown_without_a_terminal(capfd):
    with progress_bar("title", 2, "images") as advance:
        advance(2)
    assert capfd.readouterr() == ("", "")


def test_nothing_is_shown_in_a_worker_process():
    code = (
        "import multiprocessing\nfrom itm.core.progress import progress_bar\n"
        "def work():\n    with progress_bar('a title', 2, 'images') as advance:\n        advance(2)\n"
        "process = multiprocessing.get_context('fork').Process(target=work)\nprocess.start()\nprocess.join()\n"
    )
    assert in_terminal(code) == ""
