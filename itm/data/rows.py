"""One row of an index on its way: named by the source, looked at by the checks, placed by the splits."""

from dataclasses import dataclass, replace
from typing import Literal

from itm.core.types import SplitName

Kind = Literal[
    "conflicting labels",
    "duplicate",
    "duplicate in another split",
    "empty",
    "missing",
    "not an image",
    "outside the folder",
    "too large",
    "truncated or damaged",
    "unreadable",
]


@dataclass(frozen=True, slots=True)
class Row:
    """An image: `path` as the source was written, `relative` below the source's root; a `kind` means that it is set aside."""

    path: str
    relative: str
    class_name: str
    split: SplitName | None = None
    id: str | None = None
    width: int | None = None
    height: int | None = None
    kind: Kind | None = None
    reason: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the image is used."""
        return self.kind is None

    @property
    def place(self) -> tuple[str, str, str]:
        """Where the row stands in the index; a table may name a path more than once."""
        return self.path, self.class_name, self.split or ""

    def set_aside(self, kind: Kind, reason: str) -> "Row":
        """Return the row as one that is not used, and why."""
        return replace(self, kind=kind, reason=reason)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a source holds before any image is opened; `classes` also names those without a file."""

    rows: tuple[Row, ...]
    classes: tuple[str, ...]

    @property
    def has_splits(self) -> bool:
        """Whether the source says itself which image is for training and which for evaluation."""
        return any(row.split for row in self.rows)


SPLIT_NAMES: dict[str, SplitName] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


def as_text(path: str) -> str | None:
    """Return a path that can be stored as text, or None where the file system gave bytes that are not UTF-8."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return None
    return path
