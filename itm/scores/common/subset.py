"""Some of the rows, where a score's cost grows faster than their number."""

import numpy as np


def turns(labels: np.ndarray, seed: int) -> np.ndarray:
    """Return when it is each row's turn [n] among the rows of its class, from 0 on, in random order."""
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    counts = np.bincount(labels)
    turn = np.empty(len(labels), dtype=np.int64)
    turn[order] = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    return turn


def balanced(labels: np.ndarray, rows: int, seed: int) -> np.ndarray:
    """Return the numbers of at most `rows` rows, in ascending order: one of every class in turn, while it has any."""
    if len(labels) <= rows:
        return np.arange(len(labels))
    chance = np.random.default_rng(seed).random(len(labels))  # which classes have one row more than others
    return np.sort(np.lexsort((chance, turns(labels, seed)))[:rows])
