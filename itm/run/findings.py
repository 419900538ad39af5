"""What `itm doctor` found out about one thing."""

from dataclasses import dataclass


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
