"""A signal ends the command line and everything that it started, whatever the main thread does."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

DEFAULT = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # the tests may run below nohup
PREPARE = """
import hashlib, os, queue, signal, subprocess, sys, threading, time
from itm.cli.interrupt import end_on_signals
sys.argv = ["itm", "rank", "folder:my photos"]
end_on_signals()
def ready():
    print("ready", flush=True)
"""
STATES = {
    "compiled": "ready(); hashlib.pbkdf2_hmac('sha256', b'', b'', 2**30)",
    "waiting": "ready(); queue.Queue().get()",
    "ignoring": "ready()\nwhile True:\n  try: time.sleep(60)\n  except BaseException: pass",
    "joining": "thread = threading.Thread(target=time.sleep, args=(60,)); thread.start(); ready(); thread.join()",
    "child": "child = subprocess.Popen(['sleep', '60']); ready(); child.wait()",
    "grandchild": "child = subprocess.Popen(['sh', '-c', 'sleep 60 & wait']); ready(); child.wait()",
    "own session": "child = subprocess.Popen(['sleep', '60'], start_new_session=True); ready(); child.wait()",
    "python child": "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); ready(); child.wait()",
    "restarting": "ready()\nwhile True: subprocess.run(['sleep', '60'])",
    "forked": "process = os.fork()\nif not process: time.sleep(60)\nready(); os.waitpid(process, 0)",
    "semaphores": "import multiprocessing; lock = multiprocessing.get_context('spawn').Lock(); ready(); time.sleep(60)",
    "exiting": "import atexit; atexit.register(time.sleep, 60); ready()",
}
STUBBORN = """
import itm.cli.interrupt
itm.cli.interrupt.GRACE = 600
child = subprocess.Popen(['sh', '-c', 'trap "" TERM; while true; do sleep 0.1; done'])
ready()
child.wait()
"""
LIMIT = 15  # seconds for a process to end; it takes less than 2 on a quiet machine
RESUME = "finished results are stored, and the same command resumes: itm rank 'folder:my photos'\n"


def start(state: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", DEFAULT + PREPARE + state]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    return process


def end(process: "subprocess.Popen[str]", number: signal.Signals) -> str:
    """Send a signal as a terminal does, and return what the process printed."""
    family = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, number)
    printed = "".join(process.communicate(timeout=LIMIT))
    assert process.returncode == 128 + number
    assert psutil.wait_procs(family, timeout=LIMIT)[1] == []
    return printed


@pytest.mark.parametrize("state", STATES)
def test_an_interrupt_ends_the_process_and_its_children(state):
    assert end(start(STATES[state]), signal.SIGINT) == f"interrupted; {RESUME}"


@pytest.mark.parametrize(("number", "what"), [(signal.SIGTERM, "terminated"), (signal.SIGHUP, "the terminal was closed")])
@pytest.mark.parametrize("state", ["compiled", "waiting", "child", "forked"])
def test_other_signals_end_it_too(state, number, what):
    assert end(start(STATES[state]), number) == f"{what}; {RESUME}"


def test_a_second_interrupt_does_not_wait_for_children():
    process = start(STUBBORN)
    (child,) = psutil.Process(process.pid).children()
    os.kill(process.pid, signal.SIGINT)
    assert process.stderr
    assert process.stderr.readline()
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert psutil.wait_procs([child], timeout=LIMIT)[1] == []


def test_an_ignored_signal_stays_ignored():
    """`nohup` ignores SIGHUP, and a shell ignores SIGINT for its background jobs."""
    script = f"signal.signal(signal.SIGHUP, signal.SIG_IGN)\n{PREPARE}ready(); time.sleep(0.5); print('done')"
    done = subprocess.Popen([sys.executable, "-c", f"import signal\n{script}"], stdout=subprocess.PIPE, text=True)
    assert done.stdout
    assert done.stdout.readline() == "ready\n"
    done.send_signal(signal.SIGHUP)
    assert done.communicate(timeout=LIMIT)[0] == "done\n"
    assert done.returncode == 0


def test_a_signal_to_a_forked_child_ends_only_the_child():
    state = """
process = os.fork()
if not process:
    time.sleep(60)
ready()
time.sleep(0.2)
os.kill(process, signal.SIGTERM)
assert os.WTERMSIG(os.waitpid(process, 0)[1]) == signal.SIGTERM
time.sleep(0.2)
print("alive")
"""
    assert start(state).communicate(timeout=LIMIT) == ("alive\n", "")


def test_released_signals_have_their_default_effect():
    state = "from itm.cli.interrupt import release_signals\nrelease_signals(); ready(); time.sleep(60)"
    process = start(state)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=LIMIT)
    assert process.returncode == -signal.SIGTERM
    process = start(state)
    process.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in process.communicate(timeout=LIMIT)[1]


def test_another_thread_can_end_the_command():
    end_now = "threading.Thread(target=end_command, args=('error: gone', 2)).start()"
    child = "child = subprocess.Popen(['sleep', '60'])"
    state = f"from itm.cli.interrupt import end_command\n{child}; ready(); {end_now}; child.wait()"
    process = start(state)
    assert "".join(process.communicate(timeout=LIMIT)) == f"error: gone; {RESUME}"
    assert process.returncode == 2
