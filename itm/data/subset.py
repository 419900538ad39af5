"""Nested subsets of the images of a data set: of two subsets with the same seed, the larger one contains the smaller one."""

import numpy as np
import polars as pl

from itm.core.types import DataRef, Subset
from itm.kinds import get_kind

LEAST = 5  # images of each stratum that every subset has, if the stratum has so many


def strata_of(rows: pl.DataFrame, data: DataRef) -> np.ndarray:
    """Return the stratum [n] of each row of an index, from 0 on: its class or the quantile bin of its number."""
    kind = get_kind(data.target.kind)
    return kind.strata(kind.encode(rows["target"].to_list(), data.target))


def take(rows: pl.DataFrame, data: DataRef, subset: Subset) -> pl.DataFrame:
    """Return the rows of a subset, in their order in the index.

    The first `LEAST` images of each stratum come first. Then each stratum has its share of all rows: a score of the subset
    estimates that of all images only if the classes have the same shares. Which images are first depends on their ids and on
    the seed.

    Parameters
    ----------
    rows
        All usable rows that subsets are taken from.
    """
    order = rows["id"].arg_sort().to_numpy()[np.random.default_rng(subset.seed).permutation(len(rows))]
    strata = strata_of(rows, data)[order]
    sizes = np.bincount(strata)
    by_stratum = np.argsort(strata, kind="stable")
    place = np.empty(len(rows), dtype=np.int64)  # of each row within its stratum
    place[by_stratum] = np.arange(len(rows)) - (np.cumsum(sizes) - sizes)[strata[by_stratum]]
    key = np.where(place < LEAST, -1.0, (place + 0.5) / sizes[strata])
    return rows[np.sort(order[np.argsort(key, kind="stable")][: subset.images])]
