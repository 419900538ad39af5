"""The contract of a task kind: one class owns everything that differs between tasks.

Targets exist in two forms. An index keeps the text that the source gave, in canonical form. Everything that computes uses the
encoded array of these texts. It has one value per row [n], such as class numbers, or one per row and target [n, t], such as an
indicator per label.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from itm.core.errors import DataError
from itm.core.labels import as_whole_numbers
from itm.core.types import Points, TargetSpec
from itm.kinds.metrics import Metric

if TYPE_CHECKING:
    import torch


class TaskKind(ABC):
    """A kind of task: how its targets are read, split, predicted and measured.

    `rank_by` names scores to rank by, the preferred one first: `score.rank_by: auto` takes the first that is computed.
    """

    name: ClassVar[str]  # in `?task=` of a source and in records
    level: ClassVar[Literal["image", "patch"]] = "image"  # whether a target belongs to an image or to a patch of one
    metrics: ClassVar[tuple[Metric, ...]]  # the main one first
    target_column: ClassVar[str]  # of a table of images, if the source names no other
    rank_by: ClassVar[tuple[str, ...]]
    baseline_label: ClassVar[str]  # what the baseline does, as the subject of a sentence
    held_out_meaning: ClassVar[str]  # what a held-out score means, in one sentence for the reader of a report
    axes: ClassVar[tuple[int, ...]] = (1,)  # of encoded targets: 1 for [n], 2 for [n, t]

    @property
    def main_metric(self) -> Metric:
        """Return the metric that a ranking reports first."""
        return self.metrics[0]

    @property
    def finetuned_metric(self) -> Metric:
        """Return the metric that fine-tuning measures."""
        return self.main_metric

    def texts(self, columns: Mapping[str, list[str]]) -> list[str]:
        """Return the text of the target of each row from the columns of an index that have it, by name.

        Raises
        ------
        DataError
            If the kind cannot have its target in these columns.
        """
        if len(columns) > 1:
            raise DataError(f"{self.name} has one column of targets, not {len(columns)} ({', '.join(columns)}); name one.")
        return as_whole_numbers(next(iter(columns.values())))

    @abstractmethod
    def read(self, text: str) -> str:
        """Return the target of one row in canonical form.

        Raises
        ------
        DataError
            If the text is no target of this kind; the message is the reason for rejecting the row.
        """

    @abstractmethod
    def specify(self, texts: Iterable[str]) -> TargetSpec:
        """Return what is common to all targets of a data set, from their canonical texts."""

    @abstractmethod
    def encode(self, texts: Sequence[str], spec: TargetSpec) -> np.ndarray:
        """Return canonical texts as the array, [n] or [n, t], that scores and metrics work on."""

    @abstractmethod
    def check(self, targets: np.ndarray, spec: TargetSpec, splits: Sequence[str | None]) -> list[str]:
        """Return what is wrong with encoded targets in `splits` [n], one clause each; nothing if they can be used."""

    def warnings(self, spec: TargetSpec) -> list[str]:  # noqa: ARG002
        """Return what may be wrong with the targets of a data set that can be used, one sentence each."""
        return []

    def absent(self, targets: np.ndarray, spec: TargetSpec) -> list[str]:  # noqa: ARG002
        """Return the names of a data set, such as classes, of which encoded targets of some rows have none."""
        return []

    @abstractmethod
    def strata(self, targets: np.ndarray) -> np.ndarray:
        """Return the stratum [n] of each row, from 0 on: splits, folds and samples have equal shares of every stratum.

        If a row can be in several strata or in none, return 0 or 1 for each row and stratum [n, s].
        """

    @abstractmethod
    def describe(self, spec: TargetSpec) -> str:
        """Return the targets of a data set in a few words, such as "10 classes"."""

    @abstractmethod
    def baseline(self, known: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Return predictions for the rows of `test` that use the targets `known` alone."""

    @abstractmethod
    def head(self, width: int, spec: TargetSpec) -> "torch.nn.Linear":
        """Return a new linear head from embeddings [n, width] to outputs [n, outputs]."""

    @abstractmethod
    def loss(self, output: "torch.Tensor", target: "torch.Tensor", spec: TargetSpec) -> "torch.Tensor":
        """Return the mean training loss of outputs [n, outputs] for encoded targets."""

    @abstractmethod
    def predictions(self, output: "torch.Tensor", spec: TargetSpec) -> "torch.Tensor":
        """Return predictions, comparable with encoded targets by the metrics, of outputs [n, outputs]."""

    @abstractmethod
    def problem(self, targets: np.ndarray) -> str:
        """Return why no score is defined on encoded targets, with what to do, or nothing if scores are."""

    def numbers(self, targets: np.ndarray) -> np.ndarray:
        """Return targets as a user of `itm.scores.evaluate` has them as the numbers that scores work on."""
        return targets

    def labels(self, targets: np.ndarray) -> np.ndarray:
        """Return the class number [n] of each row for statistics by class; a kind without classes has one."""
        return np.zeros(len(targets), dtype=np.int64)

    def canonical(self, targets: np.ndarray) -> np.ndarray:
        """Return targets of rows in their final order, independent of how the targets are named."""
        return targets

    def renumber(self, targets: np.ndarray) -> np.ndarray:
        """Return targets of a part of the rows of a sample, with no number left for a class that has no row in it."""
        return targets

    def by_target(self, predicted: np.ndarray, actual: np.ndarray) -> dict[str, float]:  # noqa: ARG002
        """Return metrics of each target of a kind with several: the key is METRIC/NUMBER, and nan is undefined.

        In a ranking, the name of the target stands for its number.
        """
        return {}

    def points(self, predicted: np.ndarray, actual: np.ndarray) -> dict[str, Points]:  # noqa: ARG002
        """Return some pairs of target and prediction for a figure, by the number of the target; only numbers have a figure."""
        return {}

    def note(
        self,
        measured: Mapping[str, float],  # noqa: ARG002
        metric: str | None,  # noqa: ARG002
        standard_error: float,  # noqa: ARG002
        names: Sequence[str] = (),  # noqa: ARG002
    ) -> str:
        """Return a sentence that completes the score of the first model of a ranking, or nothing.

        `measured` has the metrics of the model. `metric` is the one that the ranking is by, if it is by a metric. `names` are
        those of the targets.
        """
        return ""


def joined(columns: Mapping[str, list[str]]) -> list[str]:
    """Return the cells of each row in one text, a JSON object with the name of each column.

    >>> joined({"road": ["0.5", "0"], "sky": ["", "1"]})
    ['{"road": "0.5", "sky": ""}', '{"road": "0", "sky": "1"}']
    """
    names = list(columns)
    rows = zip(*columns.values(), strict=True)
    return [json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) for row in rows]


def number_by_first_appearance(values: np.ndarray) -> np.ndarray:
    """Return for each of `values` [n] its number [n]: equal values share one, and numbers count from 0 as values first appear.

    >>> number_by_first_appearance(np.array([7, 3, 7, 5]))
    array([0, 1, 0, 2])
    """
    distinct, first, numbers = np.unique(values, return_index=True, return_inverse=True)
    rank = np.empty(len(distinct), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(distinct))
    return np.asarray(rank[numbers])
