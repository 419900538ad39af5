"""The processes that this process started, and those that they started."""

import os
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")  # other systems than Linux have none
TRACKER = "multiprocessing.resource_tracker"  # ends by itself, after it has removed what ended processes left behind


def descendants() -> set[int]:
    """Return the ids of all running processes below this one, without multiprocessing's resource tracker."""
    children: dict[int, list[tuple[int, str]]] = {}
    for process, parent, command in _processes():
        children.setdefault(parent, []).append((process, command))
    found: set[int] = set()
    parents = [os.getpid()]
    while parents:
        for process, command in children.pop(parents.pop(), ()):
            parents.append(process)
            if TRACKER not in command:
                found.add(process)
    return found


def send_signal(processes: Iterable[int], number: int) -> None:
    """Send a signal to processes. Those that have ended meanwhile are skipped."""
    for process in processes:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(process, number)


def _processes() -> Iterator[tuple[int, int, str]]:
    """Yield the id, the parent's id and the command line of every process that has not ended."""
    if not (PROC / "self").exists():
        command = ["ps", "-A", "-ww", "-o", "pid=,ppid=,stat=,command="]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace") as lister:
            lines = lister.communicate()[0].splitlines()
        for line in lines:
            process, parent, state, *words = line.split(maxsplit=3)
            if not state.startswith("Z") and int(process) != lister.pid:
                yield int(process), int(parent), "".join(words)
        return
    for folder in PROC.iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError):  # it has ended
            state, parent = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
            if state != "Z":
                yield int(folder.name), int(parent), (folder / "cmdline").read_text(errors="replace")
