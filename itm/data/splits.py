"""Cuts each class into train, val and test by the images' bytes alone: no name, order or platform changes a split."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import floor
from typing import TypeVar

from itm.core.types import SplitName
from itm.data.rows import Row

Name = TypeVar("Name", bound=str)
_SPLITS: tuple[SplitName, ...] = ("train", "val", "test")


def assign_splits(rows: Iterable[Row], shares: Mapping[SplitName, float], seed: int) -> list[Row]:
    """Give every usable image a split, class by class; the order within a class is that of a seeded hash of the id."""
    by_class: dict[str, list[Row]] = defaultdict(list)
    placed: list[Row] = []
    for row in rows:
        if row.ok:
            by_class[row.class_name].append(row)
        else:
            placed.append(row)
    for members in by_class.values():
        members.sort(key=lambda row: shuffled(seed, row.id or ""))
        counts = split_counts(len(members), shares)
        names = [split for split in _SPLITS for _ in range(counts[split])]
        placed += [replace(row, split=split) for row, split in zip(members, names, strict=True)]
    return sorted(placed, key=lambda row: row.place)


def split_counts(images: int, shares: Mapping[SplitName, float]) -> dict[SplitName, int]:
    """Share out the images of one class: train gets at least one, and so does every split with a share where there are enough.

    >>> split_counts(4, {"train": 0.9, "val": 0.05, "test": 0.05})
    {'train': 2, 'val': 1, 'test': 1}
    """
    counts = largest_remainder(images, {split: shares.get(split, 0.0) for split in _SPLITS})
    wanted: list[SplitName] = [split for split in _SPLITS if shares.get(split, 0.0) > 0]
    for split in wanted if images >= len(wanted) else wanted[:1]:
        if counts[split] == 0 and images > 0:
            largest = max(_SPLITS, key=lambda other: counts[other])
            counts[largest] -= 1
            counts[split] += 1
    return counts


def largest_remainder(total: int, shares: Mapping[Name, float]) -> dict[Name, int]:
    """Share out `total` in whole numbers, what is left over by the largest remainders, ties in the order of `shares`."""
    exact = {name: total * share / sum(shares.values()) for name, share in shares.items()}
    counts = {name: floor(value + 1e-9) for name, value in exact.items()}
    neediest = sorted(exact, key=lambda name: round(counts[name] - exact[name], 9))
    for name in neediest[: total - sum(counts.values())]:
        counts[name] += 1
    return counts


def shuffled(seed: int, text: str) -> str:
    """Return a sort key that looks random but depends on the seed and the text alone."""
    return hashlib.sha256(f"{seed}:{text}".encode()).hexdigest()
