"""Runs parts of a measurement in a process that may fail, and in a new one from the next part on if it does.

The process gets the file of its results and the names of the parts as its last arguments. It appends lines of JSON to the file:
`{"machine": {...}}` once it is ready, `{"figure": name, "value": value}` for each figure, and `{"end": null}` after a part, or
`{"end": reason}` for one that failed. After a failure it exits, because an error of a GPU can spoil the whole process.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

PAUSE = 0.05  # seconds between two looks at the file
Process = subprocess.Popen[bytes]


@dataclass
class Results:
    """What the parts found, what is known about the machine, and why parts failed."""

    figures: dict[str, dict[str, Any]] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass
class Runner:
    """Runs parts in their order.

    Attributes
    ----------
    command
        The command of the process, without its last arguments.
    folder
        Where results are written.
    budgets
        The seconds that each part may take.
    start
        The seconds in which a process must be ready. They do not count for its first part.
    seconds
        The seconds of all parts together. Parts that have not finished by then fail.
    """

    command: Sequence[str]
    folder: Path
    budgets: Mapping[str, float]
    start: float
    seconds: float

    def run(self) -> Results:
        """Return the results of all parts."""
        self.left, self.results, self.deadline = list(self.budgets), Results(), time.monotonic() + self.seconds
        while self.left:
            if time.monotonic() >= self.deadline:
                self.results.failed |= dict.fromkeys(self.left, f"not begun: all {self.seconds:g} s were used")
                break
            path = self.folder / f"results{len(self.left)}.jsonl"
            path.write_text("", encoding="utf-8")
            process = subprocess.Popen([*self.command, str(path), *self.left], stdout=sys.stderr, start_new_session=True)
            try:
                with path.open(encoding="utf-8") as stream:
                    reason = self._watch(process, stream)
            finally:
                _end(process)
            if reason:
                failed = self.left[: 1 if self.is_ready else None]  # a process that cannot start fails all parts
                self.left = self.left[len(failed) :]
                self.results.failed |= dict.fromkeys(failed, reason)
                _print(f"{', '.join(failed)} failed: {reason}")
        return self.results

    def _watch(self, process: Process, stream: IO[str]) -> str | None:
        """Take over what a process writes until it ends or takes too long. Return why its last part failed, or None."""
        self.began, self.budget, self.is_ready = time.monotonic(), self.start, False
        lines = _Lines(stream)
        while self.left:
            has_ended = process.poll() is not None  # asked before the file is read for the last time
            for line in lines.new():
                if reason := line.get("end"):
                    return str(reason)
                self.is_ready = True
                self._take(line)
            now = time.monotonic()
            if not self.left:
                break
            if has_ended:
                return f"its process ended with status {process.returncode}"
            if now - self.began > self.budget:
                return f"{'took longer than' if self.is_ready else 'its process was not ready after'} {self.budget:g} s"
            if now > self.deadline:
                return f"not finished after {now - self.began:.0f} s, when all {self.seconds:g} s were used"
            time.sleep(PAUSE)
        return None

    def _take(self, line: dict[str, Any]) -> None:
        if "figure" in line:
            self.results.figures.setdefault(self.left[0], {})[line["figure"]] = line["value"]
            return
        if "end" in line:
            _print(f"{self.left.pop(0)}: {time.monotonic() - self.began:.1f} s")
        else:
            self.results.machine = line["machine"]
        self.began, self.budget = time.monotonic(), self.budgets[self.left[0]] if self.left else self.start


class _Lines:
    """The complete lines of a file that grows."""

    def __init__(self, stream: IO[str]) -> None:
        self.stream, self.text = stream, ""

    def new(self) -> Iterator[dict[str, Any]]:
        while more := self.stream.readline():
            self.text += more
            if self.text.endswith("\n"):
                yield json.loads(self.text)
                self.text = ""


def _end(process: Process) -> None:
    """Kill a process and those that it started, which are in its group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _print(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
