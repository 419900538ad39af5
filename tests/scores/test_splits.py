"""Which rows are learnt from and which are judged: whole, disjoint, balanced, and the same for the same seed."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itm.core.errors import ParamsError, ScoreError
from itm.scores.evaluate import Split, Splitting

LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(4), [40, 23, 9, 1]))
KINDS = [Splitting(seeds=3), Splitting("paper", seeds=3), Splitting(folds=2), Splitting("paper", folds=7)]
labelled = st.lists(st.integers(0, 4), min_size=7, max_size=60).map(np.array)


def same(one: Split, other: Split) -> bool:
    """Say whether two splits have the same rows and the same seed."""
    return np.array_equal(one.learn, other.learn) and np.array_equal(one.judge, other.judge) and one.seed == other.seed


@given(labels=labelled, folds=st.integers(2, 7), seeds=st.integers(1, 3))
def test_cross_fitting_judges_every_row_once_a_seed(labels: np.ndarray, folds: int, seeds: int) -> None:
    """The judged parts of one seed are all rows, each once."""
    splits = Splitting("cross_fitted", folds, seeds).of(labels)
    for start in range(0, len(splits), folds):
        judged = np.concatenate([split.judge for split in splits[start : start + folds]])
        np.testing.assert_array_equal(np.sort(judged), np.arange(len(labels)))


@given(labels=labelled, folds=st.integers(2, 7), seed=st.integers(0, 2**40))
def test_folds_are_alike_in_size_and_classes(labels: np.ndarray, folds: int, seed: int) -> None:
    """No fold has two rows more than another, neither in all nor of any class."""
    splits = Splitting("cross_fitted", folds, seed=seed).of(labels)
    sizes = [len(split.judge) for split in splits]
    assert max(sizes) - min(sizes) <= 1
    counts = np.array([np.bincount(labels[split.judge], minlength=5) for split in splits])
    assert (counts.max(axis=0) - counts.min(axis=0)).max() <= 1


@given(labels=labelled, folds=st.integers(2, 7), kind=st.sampled_from(["cross_fitted", "paper"]))
def test_a_split_is_all_rows_in_two_parts(labels: np.ndarray, folds: int, kind: Any) -> None:
    """A row is learnt from or judged and never both, in order, and neither part is empty."""
    splitting = Splitting(kind, folds, seeds=2)
    splits = splitting.of(labels)
    assert len(splits) == splitting.draws
    for split in splits:
        np.testing.assert_array_equal(np.union1d(split.learn, split.judge), np.arange(len(labels)))
        assert len(split.learn) + len(split.judge) == len(labels)
        assert min(len(split.learn), len(split.judge)) > 0
        assert all((np.diff(rows) > 0).all() for rows in (split.learn, split.judge))


@pytest.mark.parametrize(("rows", "folds"), [(73, 5), (7, 5), (20, 4), (11, 2)])
def test_the_split_of_the_paper_is_a_random_part_of_its_seed(rows: int, folds: int) -> None:
    """One n-th of the rows is judged, the first draw is that of the seed itself, and classes have no say in it."""
    labels = LABELS[:rows]
    splits = Splitting("paper", folds, 5, 77).of(labels)
    assert [len(split.judge) for split in splits] == [round(rows / folds)] * 5
    assert splits[0].seed == 77
    assert same(splits[0], Splitting("paper", folds, 1, 77).of(labels)[0])
    assert all(same(one, other) for one, other in zip(splits, Splitting("paper", folds, 5, 77).of(1 - labels), strict=True))


@pytest.mark.parametrize("splitting", KINDS)
def test_the_same_seed_gives_the_same_splits(splitting: Splitting) -> None:
    """Splits are a function of the labels and the record alone."""
    pairs = zip(splitting.of(LABELS), splitting.of(LABELS), strict=True)
    assert all(same(one, other) for one, other in pairs)


@pytest.mark.parametrize("kind", ["cross_fitted", "paper"])
def test_more_seeds_keep_the_draws_of_fewer(kind: Any) -> None:
    """Asking for one seed more adds draws and changes none."""
    few, more = (Splitting(kind, seeds=seeds).of(LABELS) for seeds in (2, 3))
    assert all(same(one, other) for one, other in zip(few, more[: len(few)], strict=True))


@pytest.mark.parametrize("kind", ["cross_fitted", "paper"])
def test_no_two_draws_are_the_same(kind: Any) -> None:
    """All draws differ in their judged rows and in their seed, also between neighbouring seeds."""
    splits = [split for seed in (5, 6, 7) for split in Splitting(kind, seeds=4, seed=seed).of(LABELS)]
    for one, other in combinations(splits, 2):
        assert not np.array_equal(one.judge, other.judge)
        assert one.seed != other.seed


@pytest.mark.parametrize("folds", [2, 5, 10])
@pytest.mark.parametrize("kind", ["cross_fitted", "paper"])
def test_the_share_that_is_judged_is_known(kind: Any, folds: int) -> None:
    """Where the folds divide the rows, judged over learnt rows is what the record says."""
    splitting = Splitting(kind, folds)
    split = splitting.of(np.arange(60) % 3)[0]
    assert splitting.judged_over_learnt == pytest.approx(len(split.judge) / len(split.learn))


@pytest.mark.parametrize("kind", ["cross_fitted", "paper"])
def test_fewer_rows_than_folds_are_an_error(kind: Any) -> None:
    """Both numbers are named, and what to do."""
    with pytest.raises(ScoreError, match="there are 9 rows for 10 folds; take fewer folds or more images"):
        Splitting(kind, 10).of(np.arange(9) % 2)
    assert Splitting(kind, 9).of(np.arange(9) % 2)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"kind": "random"}, "splitting is 'random'; it is 'cross_fitted' or 'paper'"),
        ({"folds": 1}, "needs folds >= 2, seeds >= 1 and seed >= 0, not 1, 1 and 12357"),
        ({"seeds": 0}, "not 5, 0 and 12357"),
        ({"seed": -1}, "not 5, 1 and -1"),
    ],
)
def test_a_splitting_that_makes_no_sense_is_refused(wrong: dict[str, Any], said: str) -> None:
    """An unknown kind, a single fold, no seed and a negative one are errors that carry the value."""
    with pytest.raises(ParamsError, match=said):
        Splitting(**wrong)
