"""The rows of an index: a source lists them, checks complete or reject them, splits are assigned last."""

import re
from dataclasses import dataclass, replace
from typing import Literal

from itm.core.labels import clean
from itm.core.types import SplitName
from itm.data.legend import Legend

Rejection = Literal[
    "conflicting labels",
    "duplicate",
    "duplicate in another split",
    "empty",
    "extreme shape",
    "missing",
    "no label",
    "no mask",
    "no path",
    "no split",
    "not an image",
    "only void",
    "outside the folder",
    "preview",
    "system file",
    "too large",
    "too many cells",
    "truncated or damaged",
    "unknown class",
    "unreadable",
    "unreadable mask",
    "unsupported",
    "wrong mask size",
    "wrong target",
]


@dataclass(frozen=True, slots=True)
class Row:
    """An image with its target. An image with a `rejection` is not used."""

    path: str  # where the source finds the image
    relative: str  # path below the root of the source
    target: str  # text that the source gives; after reading, the canonical form of the task kind
    split: SplitName | None = None
    group: str | None = None  # such as a patient, an object or a video; an image without one is its own group
    strata: tuple[int, ...] = (0,)  # of the target: one, or any number for a task kind whose targets can be in several
    id: str | None = None  # SHA-256 of the bytes
    width: int | None = None
    height: int | None = None
    rejection: Rejection | None = None
    reason: str | None = None
    number: int | None = None  # of the row in an index, from 1 on; not stored
    line: int | None = None  # of the row in a text file; not stored
    one_of_several: bool = False  # frames or pages of the file; not stored
    mask: str | None = None  # where the source finds the mask, for kinds whose targets are masks

    @property
    def ok(self) -> bool:
        """Whether the image is used."""
        return self.rejection is None

    @property
    def place(self) -> tuple[str, str, str]:
        """The sort key of the row in the index; a table may name a path more than once."""
        return self.path, self.target, self.split or ""

    def has(self, what: str) -> str:
        """Return what an image has or lacks, with its row and line if it is listed in an index.

        >>> Row("a.png", "a.png", "", number=2, line=3).has("no label")
        'row 2 has no label (line 3)'
        """
        line = f" (line {self.line})" if self.line else ""
        return f"row {self.number} has {what}{line}" if self.number else what

    def reject(self, rejection: Rejection, reason: str) -> "Row":
        return replace(self, rejection=rejection, reason=reason)


@dataclass(frozen=True, slots=True)
class Listing:
    """All images of a source, before any is opened."""

    rows: tuple[Row, ...]
    names: tuple[str, ...] = ()  # targets that the source names, including those without an image
    notes: tuple[str, ...] = ()  # what was assumed, logged once
    warnings: tuple[str, ...] = ()  # what may have been read wrongly, logged once
    legend: Legend | None = None  # of the masks, if the images have masks

    @property
    def has_splits(self) -> bool:
        return any(row.split for row in self.rows)


SPLIT_NAMES: dict[str, SplitName] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
_SPLIT = re.compile(rf"({'|'.join(SPLIT_NAMES)})(?:[ _-]*(?:set|data|images?|imgs?|split))?(?:[ _-]*\d+)?")


def read_split(name: str) -> SplitName | None:
    """Return the split that a name stands for, or None if it is no name of a split.

    >>> [read_split(name) for name in ("Train", "train2017", "training_set", "validation", "trainer", "unlabeled")]
    ['train', 'train', 'train', 'val', None, None]
    """
    match = _SPLIT.fullmatch(clean(name).casefold())
    return SPLIT_NAMES[match[1]] if match else None
