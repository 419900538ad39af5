"""Opens no more images than asked for: balanced over the classes, and a class that has bad images gets others instead."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heapreplace

from itm.core.errors import DataError
from itm.data.rows import Listing, Row
from itm.data.splits import largest_remainder, shuffled

Look = Callable[[Sequence[Row]], list[Row]]


def sample(listing: Listing, limit: int, seed: int, look: Look) -> list[Row]:
    """Look at images until `limit` good ones are found, and return all that were looked at.

    Where the source has splits, each gets a part of the limit in proportion to its size and is balanced by itself.

    Raises
    ------
    DataError
        If the limit leaves too few images for the classes.
    """
    parts: dict[str, list[Row]] = defaultdict(list)
    for row in listing.rows:
        parts[row.split or ""].append(row)
    sizes = {split: float(len(rows)) for split, rows in sorted(parts.items(), reverse=True)}
    limits = largest_remainder(limit, sizes)
    classes = len(listing.classes)
    trained = {row.class_name for row in listing.rows if row.split == "train"}
    if limit < 2 * classes or limits.get("train", classes) < len(trained):
        raise DataError(
            f"max_images is {limit}, too few for {classes} classes; raise it to at least {_enough(classes, sizes)}."
        )
    return [row for split in sizes for row in _sample_part(parts[split], limits[split], seed, look)]


def _enough(classes: int, sizes: dict[str, float]) -> int:
    share = sizes["train"] / sum(sizes.values()) if "train" in sizes else 1.0
    return max(2 * classes, int(classes / share) + 1)


def _sample_part(rows: Sequence[Row], limit: int, seed: int, look: Look) -> list[Row]:
    waiting: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (shuffled(seed, row.relative), row.place), reverse=True):
        waiting[row.class_name].append(row)  # the next one to open is the last
    good: dict[str, set[str]] = {class_name: set() for class_name in sorted(waiting)}
    looked: list[Row] = []
    while chosen := _next(good, waiting, limit):
        seen = look(chosen)
        looked += seen
        for row in seen:
            if row.ok and row.id is not None:
                good[row.class_name].add(row.id)  # the same bytes again are nothing new
    return looked


def _next(good: dict[str, set[str]], waiting: dict[str, list[Row]], limit: int) -> list[Row]:
    """Take from `waiting` as many as are still missing, each from the class that has the fewest so far."""
    missing = limit - sum(len(ids) for ids in good.values())
    poorest = [(len(ids), class_name) for class_name, ids in good.items() if waiting[class_name]]
    heapify(poorest)
    chosen: list[Row] = []
    while poorest and len(chosen) < missing:
        count, class_name = poorest[0]
        chosen.append(waiting[class_name].pop())
        if waiting[class_name]:
            heapreplace(poorest, (count + 1, class_name))
        else:
            heappop(poorest)
    return chosen
