"""The rows of an index: a source lists them, checks complete or reject them, splits are assigned last."""

from dataclasses import dataclass, replace
from typing import Literal

from itm.core.types import SplitName

Rejection = Literal[
    "conflicting labels",
    "duplicate",
    "duplicate in another split",
    "empty",
    "missing",
    "not an image",
    "outside the folder",
    "target",
    "too large",
    "truncated or damaged",
    "unreadable",
]


@dataclass(frozen=True, slots=True)
class Row:
    """An image with its target. An image with a `rejection` is not used."""

    path: str  # where the source finds the image
    relative: str  # path below the root of the source
    target: str  # text that the source gives; after reading, the canonical form of the task kind
    split: SplitName | None = None
    group: str | None = None  # such as a patient, an object or a video; an image without one is its own group
    stratum: int = 0  # of the target
    id: str | None = None  # SHA-256 of the bytes
    width: int | None = None
    height: int | None = None
    rejection: Rejection | None = None
    reason: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the image is used."""
        return self.rejection is None

    @property
    def place(self) -> tuple[str, str, str]:
        """The sort key of the row in the index; a table may name a path more than once."""
        return self.path, self.target, self.split or ""

    def reject(self, rejection: Rejection, reason: str) -> "Row":
        return replace(self, rejection=rejection, reason=reason)


@dataclass(frozen=True, slots=True)
class Listing:
    """All images of a source, before any is opened."""

    rows: tuple[Row, ...]
    names: tuple[str, ...] = ()  # targets that the source names, including those without an image

    @property
    def has_splits(self) -> bool:
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
