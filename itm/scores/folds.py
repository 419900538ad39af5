"""Folds: which rows a score is trained on and which rows it is tested on."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from itm.core.errors import ParamsError, ScoreError
from itm.kinds import stratification
from itm.kinds.base import number_by_first_appearance

Kind = Literal["cross_validation", "holdout"]


@dataclass(frozen=True)
class Fold:
    """The rows of one training and one test set; together they are all rows.

    `train` and `test` hold row numbers in ascending order. `seed` is for what a score draws at random in this fold.
    """

    train: np.ndarray
    test: np.ndarray
    seed: int


@dataclass(frozen=True)
class Splitting:
    """How rows are split into folds, `repeats` times; all seeds but the first are drawn from `seed`.

    `cross_validation` deals the rows over `folds` parts with equal shares of every stratum; each part is the test set of one
    fold. `holdout` draws one test set of that size at random and ignores strata.
    """

    kind: Kind = "cross_validation"
    folds: int = 5
    repeats: int = 1
    seed: int = 12357

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ParamsError(f"splitting is {self.kind!r}; it is {' or '.join(map(repr, get_args(Kind)))}.")
        if self.folds < 2 or self.repeats < 1 or self.seed < 0:
            raise ParamsError(
                f"splitting needs folds >= 2, repeats >= 1 and seed >= 0, not {self.folds}, {self.repeats} and {self.seed}."
            )

    @property
    def count(self) -> int:
        """Return the number of folds of all repeats."""
        return self.repeats * (self.folds if self.kind == "cross_validation" else 1)

    @property
    def test_over_train(self) -> float:
        """Return the number of test rows per training row."""
        return 1 / (self.folds - 1)

    def of(self, strata: np.ndarray, groups: np.ndarray | None = None) -> list[Fold]:
        """Return the folds of rows with these strata; a ScoreError says that there are too few rows.

        Strata are those of a task kind: numbers from 0 [n], or memberships of several [n, s]. No group [n] is in both parts of
        a fold; without groups every row is its own.
        """
        rows = len(strata)
        numbers = np.arange(rows) if groups is None else number_by_first_appearance(groups)
        count = int(numbers.max(initial=-1)) + 1
        if count < self.folds:
            what, more = ("rows", "images") if count == rows else ("groups", "groups")
            raise ScoreError(f"there are {count} {what} for {self.folds} folds; take fewer folds or more {more}.")
        # The seeds of all repeats are drawn at once: no two are equal, and splittings with neighbouring seeds share no fold.
        drawn = np.random.SeedSequence(self.seed).generate_state(self.count - 1)
        seeds = [self.seed, *map(int, drawn)]
        if self.kind == "holdout":
            return [_holdout(numbers, self.folds, seed) for seed in seeds]
        return [
            fold
            for start in range(0, self.count, self.folds)
            for fold in _cross_validation(strata, numbers, seeds[start : start + self.folds])
        ]


def _holdout(groups: np.ndarray, folds: int, seed: int) -> Fold:
    """Take groups in random order as test set, each if that brings the number of test rows nearer to one n-th.

    If every group is more than twice as large as that, the test set is the smallest of them.
    """
    sizes = np.bincount(groups)
    order = np.random.default_rng(seed).permutation(len(sizes))
    wanted = max(1, round(len(groups) / folds))
    if len(sizes) == len(groups):  # every row is its own group
        return Fold(train=np.sort(order[wanted:]), test=np.sort(order[:wanted]), seed=seed)
    chosen, rows = np.zeros(len(sizes), dtype=bool), 0
    for group in order:
        if abs(rows + sizes[group] - wanted) < abs(rows - wanted):
            chosen[group], rows = True, rows + sizes[group]
    if not rows:
        chosen[order[sizes[order].argmin()]] = True
    tested = chosen[groups]
    return Fold(np.flatnonzero(~tested), np.flatnonzero(tested), seed)


def _cross_validation(strata: np.ndarray, groups: np.ndarray, seeds: list[int]) -> list[Fold]:
    """Return one fold per seed; their test sets are all rows, each once."""
    order = np.random.default_rng(seeds[0]).permutation(groups.max() + 1)
    if strata.ndim == 2:
        shares = [1.0] * len(seeds)
        fold = stratification.deal(stratification.counts_by_group(strata, groups), np.bincount(groups), shares, order)[groups]
    else:
        dealt = _dealt_rows if len(order) == len(groups) else _dealt_groups
        fold = dealt(strata, groups, order, len(seeds))[groups]
    return [Fold(np.flatnonzero(fold != one), np.flatnonzero(fold == one), seed) for one, seed in enumerate(seeds)]


def _dealt_rows(strata: np.ndarray, groups: np.ndarray, order: np.ndarray, folds: int) -> np.ndarray:  # noqa: ARG001
    """Deal rows in turn, stratum by stratum: what `_dealt_groups` does if every row is its own group."""
    order = order[np.argsort(strata[order], kind="stable")]
    fold = np.empty(len(order), dtype=np.int64)
    fold[order] = np.arange(len(order)) % folds
    return fold


def _dealt_groups(strata: np.ndarray, groups: np.ndarray, order: np.ndarray, folds: int) -> np.ndarray:
    """Return the fold [g] of each group.

    The stratum of a group is the most frequent one of its rows. Groups are dealt stratum by stratum, larger ones first: small
    ones then even out the differences. Each goes to the fold with the fewest rows of its stratum, of these to the one with the
    fewest rows, and of these to the first.
    """
    sizes = np.bincount(groups)
    kinds = int(strata.max()) + 1
    pairs, counts = np.unique(groups * kinds + strata, return_counts=True)  # how many rows of each stratum a group has
    owner, stratum = pairs // kinds, pairs % kinds
    ranked = np.lexsort((stratum, -counts, owner))
    starts = np.searchsorted(owner, np.arange(len(sizes)))
    own = stratum[ranked][starts]
    order = order[np.lexsort((-sizes[order], own[order]))]
    fold = np.empty(len(sizes), dtype=np.int64)
    rows, rows_of = [0] * folds, np.zeros((kinds, folds), dtype=np.int64)
    ends = np.append(starts[1:], len(pairs))
    for group in order.tolist():
        fewest = rows_of[own[group]].tolist()
        chosen = min(range(folds), key=lambda one: (fewest[one], rows[one]))
        fold[group] = chosen
        rows[chosen] += int(sizes[group])
        part = slice(starts[group], ends[group])
        rows_of[stratum[part], chosen] += counts[part]
    return fold
