"""Sample a number of usable images evenly over the strata, and open no more images than needed.

A target in several strata counts for the rarest of them, and one in none for a stratum of its own.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from heapq import heapify, heappop, heapreplace

from itm.core.errors import DataError
from itm.data.rows import Listing, Row
from itm.data.sources.parse import NamedSource
from itm.data.splits import largest_remainder, shuffled

Check = Callable[[Sequence[Row]], list[Row]]


def sample(source: NamedSource, listing: Listing, limit: int, seed: int, check: Check) -> list[Row]:
    """Check images until `limit` usable ones are found, and return all rows that were checked or rejected before.

    If the source has splits, each split gets a part of the limit in proportion to its size.

    Raises
    ------
    DataError
        If the limit is too small for the strata.
    """
    parts: dict[str, list[Row]] = defaultdict(list)
    rows = [row for row in listing.rows if row.ok]
    sizes_of_strata = Counter(stratum for row in rows for stratum in row.strata)
    rarest = {own: min(own, key=lambda one: (sizes_of_strata[one], one), default=-1) for own in {row.strata for row in rows}}
    for row in rows:
        parts[row.split or ""].append(row)
    sizes = {split: float(len(rows)) for split, rows in sorted(parts.items(), reverse=True)}
    limits = largest_remainder(limit, sizes)
    strata = len(set(rarest.values()))
    trained = {rarest[row.strata] for row in rows if row.split == "train"}
    if limit < 2 * strata or limits.get("train", strata) < len(trained):
        what = "classes" if source.source.kind == "classification" else "strata"
        raise DataError(
            f"{source.text}: max_images is {limit}, too few for {strata} {what}; raise it to at least {_enough(strata, sizes)}."
        )
    sampled = [row for split in sizes for row in _sample_part(parts[split], limits[split], rarest, seed, check)]
    return [*(row for row in listing.rows if not row.ok), *sampled]


def _enough(strata: int, sizes: dict[str, float]) -> int:
    share = sizes["train"] / sum(sizes.values()) if "train" in sizes else 1.0
    return max(2 * strata, int(strata / share) + 1)


def _sample_part(
    rows: Sequence[Row], limit: int, stratum_of: Mapping[tuple[int, ...], int], seed: int, check: Check
) -> list[Row]:
    waiting: dict[int, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (shuffled(seed, row.relative), row.place), reverse=True):
        waiting[stratum_of[row.strata]].append(row)  # images are taken from the end
    usable: dict[int, set[str]] = {stratum: set() for stratum in sorted(waiting)}
    checked: list[Row] = []
    while chosen := _next(usable, waiting, limit):
        seen = check(chosen)
        checked += seen
        for row in seen:
            if row.ok and row.id is not None:
                usable[stratum_of[row.strata]].add(row.id)  # a duplicate does not count
    return checked


def _next(usable: dict[int, set[str]], waiting: dict[int, list[Row]], limit: int) -> list[Row]:
    """Take the missing number of rows from `waiting`, each from the stratum with the fewest usable images."""
    missing = limit - sum(len(ids) for ids in usable.values())
    poorest = [(len(ids), stratum) for stratum, ids in usable.items() if waiting[stratum]]
    heapify(poorest)
    chosen: list[Row] = []
    while poorest and len(chosen) < missing:
        count, stratum = poorest[0]
        chosen.append(waiting[stratum].pop())
        if waiting[stratum]:
            heapreplace(poorest, (count + 1, stratum))
        else:
            heappop(poorest)
    return chosen
