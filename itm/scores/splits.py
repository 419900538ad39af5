"""Which rows a score learns from and which it is judged on."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from itm.core.errors import ParamsError, ScoreError

Kind = Literal["cross_fitted", "paper"]


@dataclass(frozen=True)
class Split:
    """Rows a score may learn from and rows it is judged on: all others, both in ascending order."""

    learn: np.ndarray
    judge: np.ndarray
    seed: int


@dataclass(frozen=True)
class Splitting:
    """How rows are split.

    `cross_fitted` deals the rows of every class over `folds` parts, once a seed, and judges each row once by what never saw it;
    `paper` holds one random part of that size out a seed. The first seed is `seed` itself, the others are drawn from it.
    """

    kind: Kind = "cross_fitted"
    folds: int = 5
    seeds: int = 1
    seed: int = 12357

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ParamsError(f"splitting is {self.kind!r}; it is {' or '.join(map(repr, get_args(Kind)))}.")
        if self.folds < 2 or self.seeds < 1 or self.seed < 0:
            raise ParamsError(
                f"splitting needs folds >= 2, seeds >= 1 and seed >= 0, not {self.folds}, {self.seeds} and {self.seed}."
            )

    @property
    def draws(self) -> int:
        """Return the number of splits."""
        return self.seeds * (self.folds if self.kind == "cross_fitted" else 1)

    @property
    def judged_over_learnt(self) -> float:
        """Return how many rows are judged for one that is learnt from."""
        return 1 / (self.folds - 1)

    def of(self, labels: np.ndarray) -> list[Split]:
        """Return the splits of rows with these class numbers.

        Raises
        ------
        ScoreError
            If there are fewer rows than folds.
        """
        if len(labels) < self.folds:
            raise ScoreError(f"there are {len(labels)} rows for {self.folds} folds; take fewer folds or more images.")
        seeds = _seeds(self.seed, self.draws)  # of all draws at once, so that no two of them are the same
        if self.kind == "paper":
            return [_random(len(labels), self.folds, seed) for seed in seeds]
        return [
            split for start in range(0, self.draws, self.folds) for split in _dealt(labels, seeds[start : start + self.folds])
        ]


def _seeds(seed: int, count: int) -> list[int]:
    """Return `seed` itself and numbers drawn from it, so that neighbouring seeds share no draw."""
    return [seed, *(int(number) for number in np.random.SeedSequence(seed).generate_state(count - 1))]


def _random(rows: int, folds: int, seed: int) -> Split:
    order = np.random.default_rng(seed).permutation(rows)
    judged = max(1, round(rows / folds))
    return Split(learn=np.sort(order[judged:]), judge=np.sort(order[:judged]), seed=seed)


def _dealt(labels: np.ndarray, seeds: list[int]) -> list[Split]:
    """Shuffle the rows, sort them by class, and deal them round, so that folds differ by one row at most, also of a class."""
    order = np.random.default_rng(seeds[0]).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    fold = np.empty(len(labels), dtype=np.int64)
    fold[order] = np.arange(len(labels)) % len(seeds)
    return [Split(np.flatnonzero(fold != one), np.flatnonzero(fold == one), seed) for one, seed in enumerate(seeds)]
