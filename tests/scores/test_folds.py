"""Folds: complete, disjoint, balanced, without split groups, and the same for the same seed."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itm.core.errors import ParamsError, ScoreError
from itm.scores import Fold, Splitting, canonical, evaluate
from itm.scores import folds as _folds
from tests.scores.samples import blobs, in_order

pytestmark = pytest.mark.slow

STRATA = np.random.default_rng(0).permutation(np.repeat(np.arange(4), [40, 23, 9, 1]))
KINDS = [Splitting(repeats=3), Splitting("holdout", repeats=3), Splitting(folds=2), Splitting("holdout", folds=7)]
strata_of_rows = st.lists(st.integers(0, 4), min_size=7, max_size=60).map(np.array)
kinds = st.sampled_from(["cross_validation", "holdout"])


@st.composite
def grouped_rows(draw: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return strata and groups of rows: seven groups or more, of one row up to ten, whose numbers leave gaps."""
    sizes = draw(st.lists(st.integers(1, 10), min_size=7, max_size=40))
    groups = draw(st.permutations([3 * group for group, size in enumerate(sizes) for _ in range(size)]))
    strata = draw(st.lists(st.integers(0, 3), min_size=len(groups), max_size=len(groups)))
    return np.array(strata), np.array(groups)


def same(one: Fold, other: Fold) -> bool:
    """Say whether two folds have the same rows and the same seed."""
    return np.array_equal(one.train, other.train) and np.array_equal(one.test, other.test) and one.seed == other.seed


def test_rows_go_where_they_always_went() -> None:
    strata = np.array([0, 0, 1, 0, 1, 2, 0, 1, 0, 2, 1, 0])
    dealt = [(fold.test.tolist(), fold.seed) for fold in Splitting(folds=3, seed=4).of(strata)]
    assert dealt == [([1, 2, 4, 6], 4), ([0, 3, 9, 10], 1490961094), ([5, 7, 8, 11], 1819501355)]
    held_out = [(fold.test.tolist(), fold.seed) for fold in Splitting("holdout", folds=3, repeats=2, seed=4).of(strata)]
    assert held_out == [([0, 1, 2, 8], 4), ([1, 2, 8, 11], 1490961094)]


@given(strata=strata_of_rows, folds=st.integers(2, 7), repeats=st.integers(1, 3))
def test_cross_validation_tests_every_row_once_per_repeat(strata: np.ndarray, folds: int, repeats: int) -> None:
    found = Splitting("cross_validation", folds, repeats).of(strata)
    for start in range(0, len(found), folds):
        tested = np.concatenate([fold.test for fold in found[start : start + folds]])
        np.testing.assert_array_equal(np.sort(tested), np.arange(len(strata)))


@given(strata=strata_of_rows, folds=st.integers(2, 7), seed=st.integers(0, 2**40))
def test_folds_differ_by_one_row_at_most_also_of_a_stratum(strata: np.ndarray, folds: int, seed: int) -> None:
    found = Splitting("cross_validation", folds, seed=seed).of(strata)
    sizes = [len(fold.test) for fold in found]
    assert max(sizes) - min(sizes) <= 1
    counts = np.array([np.bincount(strata[fold.test], minlength=5) for fold in found])
    assert (counts.max(axis=0) - counts.min(axis=0)).max() <= 1


@given(rows=grouped_rows(), folds=st.integers(2, 7), kind=kinds, repeats=st.integers(1, 2))
def test_a_fold_is_all_rows_in_two_parts_and_splits_no_group(
    rows: tuple[np.ndarray, np.ndarray], folds: int, kind: Any, repeats: int
) -> None:
    strata, groups = rows
    splitting = Splitting(kind, folds, repeats)
    found = splitting.of(strata, groups)
    assert len(found) == splitting.count
    for fold in found:
        np.testing.assert_array_equal(np.union1d(fold.train, fold.test), np.arange(len(strata)))
        assert len(fold.train) + len(fold.test) == len(strata)
        assert min(len(fold.train), len(fold.test)) > 0
        assert all((np.diff(part) > 0).all() for part in (fold.train, fold.test))
        assert not set(groups[fold.train]) & set(groups[fold.test])
    if kind == "cross_validation":
        tested = np.concatenate([fold.test for fold in found])
        np.testing.assert_array_equal(np.sort(tested), np.sort(np.tile(np.arange(len(strata)), repeats)))


@given(sizes=st.lists(st.integers(1, 10), min_size=7, max_size=40), folds=st.integers(2, 7), seed=st.integers(0, 99))
def test_folds_of_groups_with_one_stratum_are_balanced(sizes: list[int], folds: int, seed: int) -> None:
    groups = np.repeat(np.arange(len(sizes)), sizes)
    tests = [len(fold.test) for fold in Splitting("cross_validation", folds, seed=seed).of(np.zeros_like(groups), groups)]
    assert max(tests) - min(tests) <= max(sizes)


@given(patients=st.integers(10, 30), images=st.integers(1, 6), seed=st.integers(0, 99))
def test_pure_groups_of_equal_size_keep_strata_balanced(patients: int, images: int, seed: int) -> None:
    groups = np.repeat(np.arange(patients), images)
    strata = groups % 2
    found = Splitting(seed=seed).of(strata, groups)
    counts = np.array([np.bincount(strata[fold.test], minlength=2) for fold in found])
    assert (counts.max(axis=0) - counts.min(axis=0)).max() <= images


@given(rows=strata_of_rows, folds=st.integers(2, 7), kind=kinds, seed=st.integers(0, 99))
def test_groups_of_one_row_give_the_folds_without_groups(rows: np.ndarray, folds: int, kind: Any, seed: int) -> None:
    splitting = Splitting(kind, folds, repeats=2, seed=seed)
    alone = splitting.of(rows)
    grouped = splitting.of(rows, np.random.default_rng(seed).permutation(len(rows)) * 7)
    assert all(same(one, other) for one, other in zip(alone, grouped, strict=True))
    order = np.random.default_rng(seed).permutation(len(rows))
    numbers = np.arange(len(rows))
    by_row, by_group = (deal(rows, numbers, order, folds) for deal in (_folds._dealt_rows, _folds._dealt_groups))
    np.testing.assert_array_equal(by_row, by_group)


def test_a_large_group_does_not_become_the_test_set() -> None:
    groups = np.repeat(np.arange(11), [90, *[1] * 10])
    for fold in Splitting("holdout", repeats=9).of(np.zeros_like(groups), groups):
        assert len(fold.test) == 10
    halves = np.repeat([0, 1, 2, 3, 4], [30, 20, 30, 30, 30])
    assert [len(fold.test) for fold in Splitting("holdout", folds=5).of(np.zeros_like(halves), halves)] == [30]
    lopsided = np.repeat([0, 1], [60, 40])
    assert [len(fold.test) for fold in Splitting("holdout", folds=2).of(np.zeros_like(lopsided), lopsided)] in ([40], [60])


@pytest.mark.parametrize(("rows", "folds"), [(73, 5), (7, 5), (20, 4), (11, 2)])
def test_holdout_draws_a_random_part_whatever_the_strata(rows: int, folds: int) -> None:
    strata = STRATA[:rows]
    found = Splitting("holdout", folds, 5, 77).of(strata)
    assert [len(fold.test) for fold in found] == [round(rows / folds)] * 5
    assert found[0].seed == 77
    assert same(found[0], Splitting("holdout", folds, 1, 77).of(strata)[0])
    assert all(same(one, other) for one, other in zip(found, Splitting("holdout", folds, 5, 77).of(1 - strata), strict=True))


@pytest.mark.parametrize("splitting", KINDS)
def test_the_same_seed_gives_the_same_folds(splitting: Splitting) -> None:
    pairs = zip(splitting.of(STRATA), splitting.of(STRATA), strict=True)
    assert all(same(one, other) for one, other in pairs)


@pytest.mark.parametrize("kind", ["cross_validation", "holdout"])
def test_more_repeats_keep_the_folds_of_fewer(kind: Any) -> None:
    few, more = (Splitting(kind, repeats=repeats).of(STRATA) for repeats in (2, 3))
    assert all(same(one, other) for one, other in zip(few, more[: len(few)], strict=True))


@pytest.mark.parametrize("kind", ["cross_validation", "holdout"])
def test_no_two_folds_are_the_same_also_of_neighbouring_seeds(kind: Any) -> None:
    found = [fold for seed in (5, 6, 7) for fold in Splitting(kind, repeats=4, seed=seed).of(STRATA)]
    for one, other in combinations(found, 2):
        assert not np.array_equal(one.test, other.test)
        assert one.seed != other.seed


@pytest.mark.parametrize("folds", [2, 5, 10])
@pytest.mark.parametrize("kind", ["cross_validation", "holdout"])
def test_test_over_train_is_that_of_the_folds(kind: Any, folds: int) -> None:
    splitting = Splitting(kind, folds)
    fold = splitting.of(np.arange(60) % 3)[0]
    assert splitting.test_over_train == pytest.approx(len(fold.test) / len(fold.train))


@pytest.mark.parametrize("kind", ["cross_validation", "holdout"])
def test_fewer_rows_or_groups_than_folds_are_an_error(kind: Any) -> None:
    with pytest.raises(ScoreError, match="there are 9 rows for 10 folds; take fewer folds or more images"):
        Splitting(kind, 10).of(np.arange(9) % 2)
    assert Splitting(kind, 9).of(np.arange(9) % 2)
    with pytest.raises(ScoreError, match="there are 4 groups for 5 folds; take fewer folds or more groups"):
        Splitting(kind).of(np.arange(20) % 2, np.arange(20) // 5)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"kind": "random"}, "splitting is 'random'; it is 'cross_validation' or 'holdout'"),
        ({"folds": 1}, "needs folds >= 2, repeats >= 1 and seed >= 0, not 1, 1 and 12357"),
        ({"repeats": 0}, "not 5, 0 and 12357"),
        ({"seed": -1}, "not 5, 1 and -1"),
    ],
)
def test_an_impossible_splitting_is_an_error(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ParamsError, match=said):
        Splitting(**wrong)


def test_scores_are_computed_on_folds_that_keep_groups_whole() -> None:
    features, labels = blobs(n=40, gap=0.2)
    features, labels, groups = np.repeat(features, 4, axis=0), np.repeat(labels, 4), np.repeat(np.arange(40), 4)
    ids = in_order(labels)
    leaking = evaluate("knn", features, labels, ids=ids, options={"neighbours": 3}).value
    grouped = evaluate("knn", features, labels, groups=groups, ids=ids, options={"neighbours": 3}).value
    assert leaking > 0.9 > grouped
    order = np.random.default_rng(0).permutation(len(labels))
    ids = [ids[row] for row in order]
    assert evaluate(
        "knn", features[order], labels[order], groups=(groups * 5 + 2)[order], ids=ids, options={"neighbours": 3}
    ).value == pytest.approx(grouped, abs=1e-12)


def test_groups_must_be_one_per_row() -> None:
    features, labels = blobs(n=20)
    with pytest.raises(ScoreError, match=r"groups have shape \(19,\); one group for each of 20 rows is needed"):
        canonical(features, labels, groups=np.arange(19))
