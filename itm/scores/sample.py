"""Checked input in canonical order: neither the order of rows nor the naming of targets can change a score."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from itm.core.errors import ScoreError
from itm.kinds import KINDS, TaskKind, get_kind
from itm.kinds.base import number_by_first_appearance
from itm.scores.common.statistics import Statistics
from itm.scores.folds import Fold, Splitting
from itm.scores.model_info import ModelInfo

CHUNK = 4096  # rows that are hashed at once
LEAST_ROWS = 5


@dataclass(frozen=True)
class Sample:
    """Embeddings of one model with the targets of their rows.

    `table` [m, d] has the embeddings as they were given, possibly memory-mapped, and `rows` [n] says which of them the sample
    has, in which order. `targets`, [n] or [n, t], are encoded: for classification, class numbers from 0 without a gap. `groups`
    [n] are those of the rows, or None if every row is its own.
    """

    table: np.ndarray
    rows: np.ndarray
    targets: np.ndarray
    groups: np.ndarray | None = None
    kind: TaskKind = field(default_factory=lambda: KINDS["classification"])
    model: ModelInfo = field(default_factory=ModelInfo)

    @cached_property
    def labels(self) -> np.ndarray:
        """Return the class number [n] of each row; all are 0 for kinds without classes."""
        return self.kind.labels(self.targets)

    @property
    def classes(self) -> int:
        return int(self.labels.max()) + 1

    @property
    def features(self) -> np.ndarray:
        """Return the embeddings [n, d] of the rows, copied unless they are the whole table in order."""
        whole = len(self.rows) == len(self.table) and bool((self.rows == np.arange(len(self.rows))).all())
        return self.table if whole else self.table[self.rows]

    @cached_property
    def statistics(self) -> Statistics:
        """Return the sums that several scores share; they are kept as long as the sample is."""
        return Statistics(self.table, self.rows, self.labels)

    @cached_property
    def cache(self) -> dict[Any, Any]:
        """Return results for these rows that are used again, by a key that says what they are."""
        return {}

    def folds(self, splitting: Splitting) -> list[Fold]:
        key = "folds", splitting
        if key not in self.cache:
            self.cache[key] = splitting.of(self.kind.strata(self.targets), self.groups)
        found: list[Fold] = self.cache[key]
        return found

    def training_parts(self, splitting: Splitting) -> "list[Sample]":
        """Return the training rows of each fold, the same objects at every call: scores share their sums.

        A ScoreError says that no score is defined on the training rows of a fold.
        """
        key = "training parts", splitting
        if key not in self.cache:
            parts = [self.take(fold.train) for fold in self.folds(splitting)]
            for part in parts:
                if problem := self.kind.problem(part.targets):
                    raise ScoreError(
                        f"of {len(self.rows)} rows, the {len(part.rows)} training rows of a fold cannot be scored: {problem} "
                        "Add images."
                    )
            self.cache[key] = parts
        found: list[Sample] = self.cache[key]
        return found

    def take(self, rows: np.ndarray) -> "Sample":
        """Return a part of the rows; classes that have none in it are left out of the numbering."""
        targets = self.kind.renumber(self.targets[rows])
        groups = None if self.groups is None else self.groups[rows]
        return Sample(self.table, self.rows[rows], targets, groups, self.kind, self.model)

    def has_rows_of(self, other: "Sample") -> bool:
        """Say whether targets and groups are those of another sample: their folds are then the same."""
        if self.kind is not other.kind or not np.array_equal(self.targets, other.targets):
            return False
        if self.groups is None or other.groups is None:
            return self.groups is other.groups
        return np.array_equal(self.groups, other.groups)


def canonical(
    features: np.ndarray,
    targets: np.ndarray,
    ids: Sequence[str] | None = None,
    model: ModelInfo | None = None,
    kind: str = "classification",
    groups: np.ndarray | None = None,
) -> Sample:
    """Check the input and bring its rows into canonical order.

    Rows are sorted by id, or by a hash of their content where there are no ids. Classes and groups are numbered as they then
    first appear. Parameters and errors are those of `itm.scores.evaluate`.
    """
    model, task = model or ModelInfo(), get_kind(kind)
    features, targets = np.asarray(features), np.asarray(targets)
    if features.ndim != 2 or 0 in features.shape:
        raise ScoreError(f"features have shape {features.shape}; a table [images, width] with neither of them 0 is needed.")
    if targets.shape[:1] != (len(features),) or targets.ndim not in task.axes:
        raise ScoreError(f"targets have shape {targets.shape}; one target for each of {len(features)} rows is needed.")
    if len(features) < LEAST_ROWS:
        raise ScoreError(f"there are {len(features)} rows; at least {LEAST_ROWS} are needed to train and to test on.")
    targets = task.numbers(targets)
    if problem := task.problem(targets):
        raise ScoreError(problem)
    bad = ~np.isfinite(features.sum(axis=1, dtype=np.float64))
    if bad.any():
        raise ScoreError(f"{bad.sum()} of {len(features)} rows are not finite, the first is row {int(bad.argmax())}.")
    model.check(len(features))
    order = _by_id(ids, len(features)) if ids is not None else _by_content(features, targets)
    if groups is not None:
        groups = np.asarray(groups)
        if groups.shape != (len(features),):
            raise ScoreError(f"groups have shape {groups.shape}; one group for each of {len(features)} rows is needed.")
        groups = number_by_first_appearance(groups[order])
    return Sample(features, order, task.canonical(targets[order]), groups, task, model)


def _by_id(ids: Sequence[str], rows: int) -> np.ndarray:
    if len(set(ids)) != rows or len(ids) != rows:
        raise ScoreError(
            f"there are {len(ids)} ids, {len(set(ids))} of them different, for {rows} rows; each row needs its own."
        )
    return np.argsort(np.asarray(ids))


def _by_content(features: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Sort rows by an exact integer hash of their embedding.

    Rows with equal embeddings are sorted by the sum of the hashes of all rows with the same target, since a class may have any
    number, and then by the target itself if that is a real number or has several columns. Sums of unsigned integers wrap around
    and do not depend on the order of their terms, unlike sums of floating-point numbers.
    """
    columns = targets.reshape(len(targets), -1)
    numbers = np.unique(columns if targets.ndim > 1 else targets, axis=0, return_inverse=True)[1].reshape(-1)
    weights = np.random.default_rng(0).integers(1, 2**64, features.shape[1], dtype=np.uint64) | np.uint64(1)
    row_hash = np.empty(len(features), dtype=np.uint64)
    for start in range(0, len(features), CHUNK):
        bits = (features[start : start + CHUNK].astype(np.float64) + 0.0).view(np.uint64)  # + 0.0 turns -0.0 into 0.0
        mixed = (bits ^ (bits >> np.uint64(29))) * weights
        row_hash[start : start + CHUNK] = (mixed ^ (mixed >> np.uint64(32))).sum(axis=1, dtype=np.uint64)
    target_hash = np.zeros(numbers.max() + 1, dtype=np.uint64)
    np.add.at(target_hash, numbers, row_hash)
    keys = (target_hash[numbers], row_hash)
    return np.lexsort((*columns.T, *keys) if targets.dtype.kind == "f" or targets.ndim > 1 else keys)
