"""What `itm doctor` found out about one thing."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    A finding that is not `good` stops a ranking or makes it wrong, and says what to do. A `note` is something that is not
    there yet, or that may surprise.
    """

    what: str
    good: bool
    text: str
    note: bool = False

    @property
    def mark(self) -> str:
        return "FAIL" if not self.good else "note" if self.note else "ok  "


def ok(what: str, text: str) -> Finding:
    return Finding(what, True, text)


def note(what: str, text: str) -> Finding:
    return Finding(what, True, text, note=True)


def wrong(what: str, text: str) -> Finding:
    return Finding(what, False, text)


def can_be_written(path: Path) -> bool:
    """Return whether a file can be created or changed at `path`, whose folders need not exist. Nothing is written."""
    path = path.absolute()
    existing = next(place for place in (path, *path.parents) if place.exists())
    return os.access(existing, os.W_OK) and (existing == path or existing.is_dir())
