"""Progress bars on stderr. Nothing is shown where stderr is no terminal, or in a worker process."""

import multiprocessing
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_lock = threading.Lock()
_bars = 0
_display: Progress | None = None  # all bars of a process share one, since two would overwrite each other


@contextmanager
def progress_bar(title: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Show a bar until the block ends, and yield the function that advances it."""
    if multiprocessing.parent_process() or not sys.stderr.isatty():
        yield lambda _: None
        return
    display = _open()
    bar = display.add_task(title, total=total, unit=unit)
    try:
        yield lambda steps: display.advance(bar, steps)
    finally:
        display.remove_task(bar)
        _close()


def _open() -> Progress:
    global _bars, _display
    with _lock:
        _bars += 1
        if _display is None:
            columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[unit]}")
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
