"""Checked input in an order of its own, so that neither the order of rows nor the naming of classes can change a score."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from itm.core.errors import ScoreError
from itm.scores.common.statistics import Statistics
from itm.scores.model_info import Source
from itm.scores.splits import Splitting

CHUNK = 4096


@dataclass(frozen=True)
class Sample:
    """Embeddings with class numbers [n] that run from 0 to `classes` - 1 without a gap.

    `table` [m, d] is as it was given, possibly memory-mapped; `rows` [n] says which of its rows are meant, in which order.
    """

    table: np.ndarray
    rows: np.ndarray
    labels: np.ndarray
    source: Source = field(default_factory=Source)

    @property
    def classes(self) -> int:
        return int(self.labels.max()) + 1

    @cached_property
    def statistics(self) -> Statistics:
        """Return the sums that several scores share; they live as long as the sample does."""
        return Statistics(self.table, self.rows, self.labels)

    def learning(self, splitting: Splitting) -> "list[Sample]":
        """Return what each split learns from, the same objects each time it is asked for, so that their sums are shared too.

        Raises
        ------
        ScoreError
            If a split has one class only to learn from, or there are fewer rows than folds.
        """
        if splitting not in self._parts:
            parts = [self.take(split.learn) for split in splitting.of(self.labels)]
            if any(part.classes < 2 for part in parts):
                others = len(self.labels) - np.bincount(self.labels).max()
                raise ScoreError(
                    f"of {len(self.labels)} rows all but {others} are of one class, so that a split learns from it only; give "
                    "the others more images."
                )
            self._parts[splitting] = parts
        return self._parts[splitting]

    @cached_property
    def known(self) -> dict[Any, Any]:
        """Return what scores found out about these rows and others may ask again, by function, options and splitting."""
        return {}

    @cached_property
    def _parts(self) -> "dict[Splitting, list[Sample]]":
        return {}

    @property
    def features(self) -> np.ndarray:
        """Return the rows [n, d], copied unless they are the table as it is."""
        whole = len(self.rows) == len(self.table) and bool((self.rows == np.arange(len(self.rows))).all())
        return self.table if whole else self.table[self.rows]

    def take(self, rows: np.ndarray) -> "Sample":
        """Return some rows; classes that lose all their rows close up."""
        return Sample(self.table, self.rows[rows], np.unique(self.labels[rows], return_inverse=True)[1], self.source)


def canonical(
    features: np.ndarray, labels: np.ndarray, ids: Sequence[str] | None = None, source: Source | None = None
) -> Sample:
    """Check the input and bring it into canonical order.

    Rows are sorted by id, or by a hash of their content where there are no ids; classes are numbered as they then appear.

    Raises
    ------
    ScoreError
        If shapes do not match, a value is not finite, or there are fewer than two classes or five rows.
    """
    source = source or Source()
    features, labels = np.asarray(features), np.asarray(labels)
    if features.ndim != 2 or 0 in features.shape:
        raise ScoreError(f"features have shape {features.shape}; a table [images, width] with neither of them 0 is needed.")
    if labels.shape != (len(features),):
        raise ScoreError(f"labels have shape {labels.shape}; one label for each of {len(features)} rows is needed.")
    if labels.dtype.kind not in "iu":
        raise ScoreError(f"labels are of type {labels.dtype}; class numbers must be integers.")
    if len(features) < 5:
        raise ScoreError(f"there are {len(features)} rows; at least 5 are needed to learn from some and judge on others.")
    values, numbers = np.unique(labels, return_inverse=True)
    if len(values) < 2:
        raise ScoreError(f"every label is {values[0]}; a score needs at least two classes.")
    bad = ~np.isfinite(features.sum(axis=1, dtype=np.float64))
    if bad.any():
        raise ScoreError(f"{bad.sum()} of {len(features)} rows are not finite, the first is row {int(bad.argmax())}.")
    source.check(len(features))
    order = _by_id(ids, len(features)) if ids is not None else _by_content(features, numbers)
    numbers = numbers[order]
    first = np.unique(numbers, return_index=True)[1]
    rank = np.empty(len(values), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(values))
    return Sample(features, order, rank[numbers], source)


def _by_id(ids: Sequence[str], rows: int) -> np.ndarray:
    if len(set(ids)) != rows or len(ids) != rows:
        raise ScoreError(
            f"there are {len(ids)} ids, {len(set(ids))} of them different, for {rows} rows; each row needs its own."
        )
    return np.argsort(np.asarray(ids))


def _by_content(features: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Sort rows by an exact integer hash; equal rows by their class, classes by the sum of their rows' hashes.

    Sums of unsigned integers wrap around and so do not depend on their order, unlike sums of floating-point numbers.
    """
    weights = np.random.default_rng(0).integers(1, 2**64, features.shape[1], dtype=np.uint64) | np.uint64(1)
    row_hash = np.empty(len(features), dtype=np.uint64)
    for start in range(0, len(features), CHUNK):
        bits = (features[start : start + CHUNK].astype(np.float64) + 0.0).view(np.uint64)  # + 0.0 turns -0.0 into 0.0
        mixed = (bits ^ (bits >> np.uint64(29))) * weights
        row_hash[start : start + CHUNK] = (mixed ^ (mixed >> np.uint64(32))).sum(axis=1, dtype=np.uint64)
    class_hash = np.zeros(numbers.max() + 1, dtype=np.uint64)
    np.add.at(class_hash, numbers, row_hash)
    return np.lexsort((class_hash[numbers], row_hash))
