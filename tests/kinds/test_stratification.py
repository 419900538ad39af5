"""Iterative stratification: every group in one part, and equal shares of every stratum."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itm.kinds.stratification import counts_by_group, deal


def shares_of(memberships: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Return the number of rows of each part and stratum [p, s]."""
    return np.array([memberships[part == one].sum(axis=0) for one in range(part.max() + 1)])


@given(seed=st.integers(0, 10**6), rows=st.integers(5, 60), strata=st.integers(1, 6), parts=st.integers(2, 5))
def test_every_row_is_in_one_part_and_parts_have_their_size(seed: int, rows: int, strata: int, parts: int) -> None:
    rng = np.random.default_rng(seed)
    memberships = rng.random((rows, strata)) < rng.uniform(0.05, 0.6, strata)
    found = deal(memberships, np.ones(rows, dtype=int), [1.0] * parts, rng.permutation(rows))
    assert ((found >= 0) & (found < parts)).all()
    # a stratum that is dealt first is exact
    rarest = memberships.sum(axis=0)[memberships.any(axis=0)].min(initial=0)
    exact = [counts for counts in shares_of(memberships, found).T if counts.sum() == rarest]
    assert not exact or min(np.ptp(counts) for counts in exact) <= 1


def test_labels_are_spread_more_evenly_than_by_chance() -> None:
    rng = np.random.default_rng(0)
    memberships = rng.random((500, 12)) < np.geomspace(0.02, 0.4, 12)
    ones = np.ones(500, dtype=int)

    def unevenness(part: np.ndarray) -> float:
        counts = shares_of(memberships, part)
        return float((counts.std(axis=0) / counts.mean(axis=0)).mean())

    dealt = unevenness(deal(memberships, ones, [1] * 5, rng.permutation(500)))
    assert dealt < 0.2 * np.mean([unevenness(rng.permutation(500) % 5) for _ in range(20)])


def test_a_rare_label_reaches_every_part() -> None:
    memberships = np.zeros((100, 2), dtype=int)
    memberships[:5, 0], memberships[:, 1] = 1, 1
    found = deal(memberships, np.ones(100, dtype=int), [0.6, 0.2, 0.2], np.arange(100))
    assert sorted(found[:5]) == [0, 0, 0, 1, 2]
    assert np.bincount(found).tolist() == [60, 20, 20]


def test_groups_stay_together_and_large_ones_are_dealt_first() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(30), rng.integers(1, 9, 30))
    memberships = rng.random((len(groups), 4)) < 0.4
    part = deal(counts_by_group(memberships, groups), np.bincount(groups), [1] * 3, rng.permutation(30))[groups]
    assert all(len(set(part[groups == group])) == 1 for group in range(30))
    assert np.ptp(np.bincount(part)) <= 9


def test_rows_in_no_stratum_fill_what_is_missing() -> None:
    memberships = np.zeros((10, 1), dtype=int)
    memberships[:2] = 1
    assert np.bincount(deal(memberships, np.ones(10, dtype=int), [1, 1], np.arange(10))).tolist() == [5, 5]
    assert np.bincount(deal(np.zeros((9, 3)), np.ones(9, dtype=int), [2, 1], np.arange(9))).tolist() == [6, 3]


@pytest.mark.parametrize("seed", range(3))
def test_the_order_only_decides_between_equal_rows(seed: int) -> None:
    order = np.random.default_rng(seed).permutation(40)
    memberships = np.eye(4, dtype=int)[np.arange(40) % 4]
    part = deal(memberships, np.ones(40, dtype=int), [1] * 5, order)
    np.testing.assert_array_equal(shares_of(memberships, part), np.full((5, 4), 2))
