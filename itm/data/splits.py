"""Split each stratum into train, val and test by a hash of the images; names, order and platform have no effect."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import floor
from typing import TypeVar

import numpy as np

from itm.core.types import SplitName
from itm.data.rows import Row
from itm.kinds import stratification

Name = TypeVar("Name", bound=str)
_SPLITS: tuple[SplitName, ...] = ("train", "val", "test")
SPLITS = 1  # raise it when a change here puts an image into another split


def assign_splits(rows: Iterable[Row], shares: Mapping[SplitName, float], seed: int) -> list[Row]:
    """Assign a split to every usable image, without dividing a group.

    The groups of a stratum are ordered by a seeded hash of their name, and each split gets its share of them. An image without
    a group is a group of its own, named by its id. A group belongs to the stratum of most of its images. Targets that can be in
    several strata are stratified iteratively instead.
    """
    groups: dict[tuple[str, bool], Row | list[Row]] = {}  # a list only for several rows: most images have no group
    placed: list[Row] = []
    for row in rows:
        if not row.ok:
            placed.append(row)
            continue
        key = row.group or row.id or "", row.group is not None
        before = groups.setdefault(key, row)
        if isinstance(before, list):
            before.append(row)
        elif before is not row:
            groups[key] = [before, row]
    if any(len(row.strata) != 1 for members in groups.values() for row in _as_list(members)):
        return sorted([*placed, *_stratified_iteratively(groups, shares, seed)], key=lambda row: row.place)
    strata: dict[int, list[tuple[str, bool]]] = defaultdict(list)
    for key, members in groups.items():
        strata[_stratum(members)].append(key)
    for keys in strata.values():
        keys.sort(key=lambda key: shuffled(seed, key[0]))
        counts = split_counts(len(keys), shares)
        names = [split for split in _SPLITS for _ in range(counts[split])]
        for key, split in zip(keys, names, strict=True):
            placed += [replace(row, split=split) for row in _as_list(groups.pop(key))]
    return sorted(placed, key=lambda row: row.place)


def _stratified_iteratively(
    groups: Mapping[tuple[str, bool], Row | list[Row]], shares: Mapping[SplitName, float], seed: int
) -> list[Row]:
    keys = sorted(groups, key=lambda key: shuffled(seed, key[0]))
    members = [_as_list(groups[key]) for key in keys]
    rows = [(number, stratum) for number, own in enumerate(members) for row in own for stratum in row.strata]
    counts = np.zeros((len(keys), 1 + max(stratum for _, stratum in rows)), dtype=np.int64)
    np.add.at(counts, tuple(np.array(rows).T), 1)
    names = [split for split in _SPLITS if shares.get(split, 0.0) > 0]
    sizes = np.array(list(map(len, members)))
    parts = stratification.deal(counts, sizes, [shares[split] for split in names], np.arange(len(keys)))
    return [replace(row, split=names[part]) for part, own in zip(parts.tolist(), members, strict=True) for row in own]


def _as_list(members: Row | list[Row]) -> list[Row]:
    return members if isinstance(members, list) else [members]


def _stratum(members: Row | list[Row]) -> int:
    """Return the most frequent stratum; of several, the lowest."""
    if isinstance(members, Row):
        return members.strata[0]
    counts = Counter(row.strata[0] for row in members)
    return min(counts, key=lambda stratum: (-counts[stratum], stratum))


def split_counts(groups: int, shares: Mapping[SplitName, float]) -> dict[SplitName, int]:
    """Return the number of groups per split. Train gets at least one, and so do the others with a share if there are enough.

    >>> split_counts(4, {"train": 0.9, "val": 0.05, "test": 0.05})
    {'train': 2, 'val': 1, 'test': 1}
    """
    counts = largest_remainder(groups, {split: shares.get(split, 0.0) for split in _SPLITS})
    wanted: list[SplitName] = [split for split in _SPLITS if shares.get(split, 0.0) > 0]
    for split in wanted if groups >= len(wanted) else wanted[:1]:
        if counts[split] == 0 and groups > 0:
            largest = max(_SPLITS, key=lambda other: counts[other])
            counts[largest] -= 1
            counts[split] += 1
    return counts


def largest_remainder(total: int, shares: Mapping[Name, float]) -> dict[Name, int]:
    """Divide `total` in proportion to `shares` by the largest remainder method; ties go in the order of `shares`."""
    exact = {name: total * share / sum(shares.values()) for name, share in shares.items()}
    counts = {name: floor(value + 1e-9) for name, value in exact.items()}
    neediest = sorted(exact, key=lambda name: round(counts[name] - exact[name], 9))
    for name in neediest[: total - sum(counts.values())]:
        counts[name] += 1
    return counts


def shuffled(seed: int, text: str) -> bytes:
    """Return a pseudo-random sort key of a text."""
    return hashlib.sha256(f"{seed}:{text}".encode()).digest()
