"""Iterative stratification: parts with equal shares of every stratum, where a row can be in several strata or in none.

Source: Sechidis, Tsoumakas, Vlahavas, "On the Stratification of Multi-Label Data", ECML PKDD 2011, algorithm 1. Each part wants
its share of the rows of every stratum, and of all rows. Rows are dealt stratum by stratum, the one with the fewest rows left
first, because later rows cannot make up for its error. Each row goes to the part that still wants most rows of this stratum, of
these to the one that wants most rows, and of these to the first. Rows in no stratum are dealt last.

Rows of one group stay together: they are dealt as one, and larger groups first.
"""

from collections.abc import Sequence

import numpy as np


def deal(counts: np.ndarray, sizes: np.ndarray, shares: Sequence[float], order: np.ndarray) -> np.ndarray:
    """Return the part [g] of each group.

    Parameters
    ----------
    counts
        How many rows of each stratum every group has [g, s].
    sizes
        How many rows every group has [g].
    shares
        The share of the rows of each part, all above 0.
    order
        The numbers of the groups [g] in the order in which equal ones are dealt.
    """
    share = np.asarray(shares, dtype=np.float64) / sum(shares)
    counts, left = counts.astype(np.int64), counts.sum(axis=0, dtype=np.int64)
    wanted = left[:, None] * share  # rows of each stratum that each part still wants
    wanted_rows = sizes.sum() * share
    part = np.full(len(sizes), -1)

    def put(group: int, wants: np.ndarray) -> None:
        best = np.flatnonzero(wants == wants.max())
        chosen = best[wanted_rows[best].argmax()]
        part[group] = chosen
        wanted_rows[chosen] -= sizes[group]
        wanted[:, chosen] -= counts[group]
        np.subtract(left, counts[group], out=left)

    while left.any():
        stratum = int(np.where(left > 0, left, left.max() + 1).argmin())
        own = order[(part[order] < 0) & (counts[order, stratum] > 0)]
        for group in own[np.argsort(-counts[own, stratum], kind="stable")]:
            put(group, wanted[stratum])
    rest = order[part[order] < 0]
    for group in rest[np.argsort(-sizes[rest], kind="stable")]:
        put(group, wanted_rows)
    return part


def counts_by_group(memberships: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return how many rows of each stratum every group has [g, s], from memberships [n, s] and group numbers [n]."""
    found = np.zeros((int(groups.max(initial=-1)) + 1, memberships.shape[1]), dtype=np.int64)
    np.add.at(found, groups, memberships.astype(np.int64))
    return found
