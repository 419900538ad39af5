"""Ctrl-C, SIGTERM and a closed terminal: a command ends at once, with every process that it started.

A thread ends the process, because the main thread may be in compiled code, or may wait for a server or for workers. Nothing has
to be finished first: results are written to temporary files and renamed, and the next run resumes from what is stored.
"""

import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from select import select

from itm.core.processes import descendants, send_signal
from itm.core.secrets import hide_secrets

STATUS = 128  # plus the number of the signal, as shells do
GRACE = 1.5  # seconds for other processes to end after SIGTERM: git removes its locks, a database closes
POLL = 0.02
TRACKER = "ignore:resource_tracker:UserWarning"  # multiprocessing's tracker removes what ended processes leave, and warns of it
SIGNALS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "the terminal was closed"}

_write_end = -1
_before_end: list[Callable[[], None]] = []  # what to print before the process ends
_ending = threading.Lock()  # the first reason to end is the one that is printed


def end_on_signals() -> None:
    """End this process and its descendants on SIGINT, SIGTERM and SIGHUP. Signals that the caller ignores stay ignored."""
    global _write_end
    read_end, _write_end = os.pipe()
    os.set_blocking(_write_end, False)
    threading.Thread(target=_watch, args=(read_end,), daemon=True, name="signals").start()
    # Only the thread above receives SIGINT. A terminal sends it to all processes, and they must not print tracebacks while this
    # process ends them: they inherit that it is blocked.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    signal.set_wakeup_fd(_write_end, warn_on_full_buffer=False)
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _hold)
    filters = (os.environ.get("PYTHONWARNINGS"), TRACKER)
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, filters))
    os.register_at_fork(after_in_child=_restore)  # a forked child must not report its signals to this process


@contextmanager
def before_end(show: Callable[[], None]) -> Iterator[None]:
    """Call `show` if a signal ends this process within the block: it prints what is known so far."""
    _before_end.append(show)
    try:
        yield
    finally:
        _before_end.remove(show)


def release_signals() -> None:
    """Restore the default handling of signals, from the main thread. Does nothing outside the command line."""
    if _write_end != -1:
        _restore()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def end_command(reason: str, status: int) -> None:
    """End this process and its descendants at once, from any thread. Does nothing outside the command line."""
    if _write_end != -1 and _ending.acquire(blocking=False):
        _say(reason)
        send_signal(descendants(), signal.SIGKILL)
        os._exit(status)


def _restore() -> None:
    global _write_end
    _write_end = -1
    signal.set_wakeup_fd(-1)
    for number in SIGNALS:
        if signal.getsignal(number) is _hold:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def _hold(number: int, _frame: object) -> None:
    """Keep the main thread from going on while the process ends: it would take ended workers for failures."""
    time.sleep(2 * GRACE)
    os._exit(STATUS + number)  # only if the thread did not end the process


def _watch(read_end: int) -> None:
    """Wait for a signal, and end everything. A second signal ends it without grace."""
    while (number := _next_signal(read_end)) not in SIGNALS:
        pass
    if not _ending.acquire(blocking=False):
        return
    _show()
    _say(SIGNALS[signal.Signals(number)])
    end = time.monotonic() + GRACE
    signalled: set[int] = set()
    while (running := descendants()) and time.monotonic() < end:
        send_signal(running - signalled, signal.SIGTERM)
        signalled |= running
        if select([read_end], [], [], POLL)[0] and _next_signal(read_end) in SIGNALS:
            break
    send_signal(descendants(), signal.SIGKILL)
    os._exit(STATUS + number)


def _show() -> None:
    """Print what the command wants to say before it ends. The main thread may be changing it, so anything can go wrong."""
    for show in _before_end:
        with suppress(Exception):
            show()
            sys.stdout.flush()


def _next_signal(read_end: int) -> int:
    return os.read(read_end, 1)[0]


def _say(what: str) -> None:
    """Print one line, past all buffers and locks, and close the output: nothing after it is of interest."""
    command = hide_secrets(shlex.join(["itm", *sys.argv[1:]]))
    line = f"{what}; finished results are stored, and the same command resumes: {command}\n"
    if os.isatty(2):
        line = f"\r\x1b[J{line}\x1b[?25h"  # removes a progress bar and shows the cursor again
    with suppress(OSError):  # the terminal is gone
        os.write(2, line.encode(errors="backslashreplace"))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
