"""Progress of long work: bars on a terminal, and elsewhere a line of the log now and then."""

import logging
import multiprocessing
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from itm.core.text import compact, duration

log = logging.getLogger(__name__)

LOG_EVERY = 30.0  # seconds between two lines

_lock = threading.Lock()
_bars = 0
_display: Progress | None = None  # all bars of a process share one, since two would overwrite each other


@contextmanager
def progress_bar(title: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Show a bar until the block ends, and yield the function that advances it.

    Without a terminal, a line is logged every `LOG_EVERY` seconds with what is done, the rate and the time left.
    """
    if multiprocessing.parent_process() or not sys.stderr.isatty():
        yield _Lines(title, total, unit).advance
        return
    display = _open()
    bar = display.add_task(title, total=total, unit=unit)
    try:
        yield lambda steps: display.advance(bar, steps)
    finally:
        display.remove_task(bar)
        _close()


class _Lines:
    """Progress as lines of the log."""

    def __init__(self, title: str, total: int, unit: str) -> None:
        self.title, self.total, self.unit, self.done = title, total, unit, 0
        self.began = self.logged = time.monotonic()

    def advance(self, steps: int) -> None:
        self.done, now = self.done + steps, time.monotonic()
        if now - self.logged < LOG_EVERY or not 0 < self.done < self.total:
            return
        self.logged, rate = now, self.done / (now - self.began)
        left = duration((self.total - self.done) / rate)
        about = (self.title, self.done, self.total, self.unit, compact(rate), left)
        log.info("%s: %d of %d %s, %s per second, about %s left", *about)


class _Rate(ProgressColumn):
    """Column with the rate."""

    def render(self, task: Task) -> Text:
        """Return the rate, or nothing until it is known."""
        return Text(f"{compact(task.speed)}/s" if task.speed else "")


def _open() -> Progress:
    global _bars, _display
    with _lock:
        _bars += 1
        if _display is None:
            counts = MofNCompleteColumn(), TextColumn("{task.fields[unit]}")
            columns = TextColumn("{task.description}"), BarColumn(), *counts, _Rate()
            console = Console(stderr=True)
            _display = Progress(
                *columns, TimeRemainingColumn(), console=console, transient=True, refresh_per_second=4, redirect_stdout=False
            )
            _display.start()  # replaces sys.stderr, so that log lines appear above the bars
        return _display


def _close() -> None:
    global _bars, _display
    with _lock:
        _bars -= 1
        if _bars == 0 and _display is not None:
            _display.stop()
            _display = None
