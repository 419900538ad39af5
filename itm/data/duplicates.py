"""Images with the same bytes: one of them is kept, or none where the labels disagree."""

from collections import defaultdict
from collections.abc import Iterable

from itm.data.rows import Row

_KEPT_FIRST = {"test": 0, "val": 1, "train": 2, None: 3}


def settle_duplicates(rows: Iterable[Row]) -> list[Row]:
    """Set aside what has the bytes of another image, so that no image is in two splits or counts twice.

    Of several with one label the one in test is kept, then val, then train, so that the evaluation side stays what it is, and
    within a split the first path. Of several with different labels none is kept: nothing says which label is right.
    """
    settled: list[Row] = []
    same: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.ok and row.id is not None:
            same[row.id].append(row)
        else:
            settled.append(row)
    for group in same.values():
        settled += _settle(group)
    return sorted(settled, key=lambda row: row.place)


def _settle(group: list[Row]) -> list[Row]:
    labels = sorted({row.class_name for row in group})
    if len(labels) > 1:
        reason = f"same bytes are labelled {' and '.join(labels)}"
        return [row.set_aside("conflicting labels", reason) for row in group]
    kept, *others = sorted(group, key=lambda row: (_KEPT_FIRST[row.split], row.place))
    return [kept, *(_duplicate(row, kept) for row in others)]


def _duplicate(row: Row, kept: Row) -> Row:
    return row.set_aside("duplicate" if row.split == kept.split else "duplicate in another split", f"duplicate of {kept.path}")
