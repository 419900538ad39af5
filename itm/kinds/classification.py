"""Single-label classification: every image has one of a set of classes."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from itm.core.errors import DataError
from itm.core.labels import DOUBTFUL, clean, find_look_alikes, is_missing
from itm.core.text import format_fixed, join_names, pluralize
from itm.core.types import TargetSpec
from itm.kinds.base import TaskKind, number_by_first_appearance
from itm.kinds.class_numbers import class_numbers
from itm.kinds.metrics import ACCURACY, BALANCED_ACCURACY, Metric

if TYPE_CHECKING:
    import torch

MOST_NAMES = 10  # in a message
MANY_NUMBERS, MANY_FRACTIONS = 30, 10  # classes named by numbers; digits and small sets of levels have fewer
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d*)?(?:e[+-]?\d+)?", re.IGNORECASE)
SMALL_DIFFERENCE = 0.01  # of accuracy; less between the two metrics needs no sentence


class Classification(TaskKind):
    """Targets are class names, encoded as class numbers in alphabetical order."""

    name: ClassVar[str] = "classification"
    metrics: ClassVar[tuple[Metric, ...]] = (ACCURACY, BALANCED_ACCURACY)
    target_column: ClassVar[str] = "label"
    rank_by: ClassVar[tuple[str, ...]] = ("itm",)
    baseline_label: ClassVar[str] = "Always predicting the most frequent class"
    held_out_meaning: ClassVar[str] = "The share of images whose class a small classifier predicts correctly"

    def read(self, text: str) -> str:
        """Return the name of the class in one form; names that look the same are the same class."""
        if is_missing(text):
            raise DataError("no label")
        return clean(text)

    def specify(self, texts: Iterable[str]) -> TargetSpec:
        return TargetSpec(self.name, tuple(sorted(set(texts))))

    def encode(self, texts: Sequence[str], spec: TargetSpec) -> np.ndarray:
        numbers = {name: number for number, name in enumerate(spec.names)}
        return np.array([numbers[text] for text in texts], dtype=np.int64)

    def check(self, targets: np.ndarray, spec: TargetSpec, splits: Sequence[str | None]) -> list[str]:
        if len(spec.names) == 1:
            return [f"there is only one class, {spec.names[0]!r}; a ranking needs two or more"]
        usable = Counter(targets.tolist())
        if few := [f"{name!r} ({usable[number]})" for number, name in enumerate(spec.names) if usable[number] < 2]:
            several = len(few) > 1
            return [
                f"{'these classes have' if several else 'this class has'} fewer than two usable images: "
                f"{join_names(few, MOST_NAMES)}; add images or remove the class{'es' if several else ''}",
                *_numeric(spec),
            ]
        trained = {target for target, split in zip(targets.tolist(), splits, strict=True) if split == "train"}
        if any(splits) and (unknown := [repr(name) for number, name in enumerate(spec.names) if number not in trained]):
            names = join_names(unknown, MOST_NAMES)
            return [f"val or test has classes that train lacks: {names}; add images of them to train or remove them"]
        return []

    def warnings(self, spec: TargetSpec) -> list[str]:
        """Return names of classes that look alike or like a missing value, and whether the classes may be quantities."""
        found = _numeric(spec)
        if alike := [" and ".join(map(repr, group)) for group in find_look_alikes(spec.names)]:
            names = join_names(alike, MOST_NAMES)
            found.append(f"these classes have nearly the same name: {names}; rename them if they are one class")
        if doubtful := [repr(name) for name in spec.names if name in DOUBTFUL]:
            found.append(f"{' and '.join(doubtful)} is read as a class; leave the label empty if it is missing")
        return found

    def absent(self, targets: np.ndarray, spec: TargetSpec) -> list[str]:
        return [
            name for name, rows in zip(spec.names, np.bincount(targets, minlength=len(spec.names)), strict=True) if not rows
        ]

    def strata(self, targets: np.ndarray) -> np.ndarray:
        return targets

    def describe(self, spec: TargetSpec) -> str:
        return pluralize(len(spec.names), "class")

    def baseline(self, known: np.ndarray, test: np.ndarray) -> np.ndarray:
        return np.full(len(test), np.bincount(known).argmax())

    def head(self, width: int, spec: TargetSpec) -> "torch.nn.Linear":
        from torch import nn  # heavy, and ingestion does not need it

        return nn.Linear(width, len(spec.names))

    def loss(self, output: "torch.Tensor", target: "torch.Tensor", spec: TargetSpec) -> "torch.Tensor":  # noqa: ARG002
        """Return the mean cross-entropy in nats."""
        from torch.nn import functional

        return functional.cross_entropy(output, target)

    def predictions(self, output: "torch.Tensor", spec: TargetSpec) -> "torch.Tensor":  # noqa: ARG002
        return output.argmax(dim=-1)

    def problem(self, targets: np.ndarray) -> str:
        if (targets == targets[0]).all():
            return f"every label is {targets[0]}; a score needs at least two classes."
        return ""

    def numbers(self, targets: np.ndarray) -> np.ndarray:
        return class_numbers(targets)

    def labels(self, targets: np.ndarray) -> np.ndarray:
        return targets

    def canonical(self, targets: np.ndarray) -> np.ndarray:
        """Number the classes from 0 in the order in which they first appear: their names must not change a score."""
        return number_by_first_appearance(targets)

    def renumber(self, targets: np.ndarray) -> np.ndarray:
        """Number the classes that have rows from 0, in their present order."""
        return np.asarray(np.unique(targets, return_inverse=True)[1])

    def note(
        self,
        measured: Mapping[str, float],
        metric: str | None,
        standard_error: float,
        names: Sequence[str] = (),  # noqa: ARG002
    ) -> str:
        """Return both accuracies, unless the ranking is by accuracy and they hardly differ."""
        if not {"accuracy", "balanced_accuracy"} <= measured.keys():
            return ""
        plain, balanced = measured["accuracy"], measured["balanced_accuracy"]
        if metric == "accuracy" and abs(plain - balanced) <= max(standard_error, SMALL_DIFFERENCE):
            return ""
        return f"The first has an accuracy of {format_fixed(plain, 3)} and a balanced accuracy of {format_fixed(balanced, 3)}."


def _numeric(spec: TargetSpec) -> list[str]:
    """Return a hint if the names of many classes are numbers, which may be quantities."""
    least = MANY_NUMBERS if all(name.isdigit() for name in spec.names) else MANY_FRACTIONS
    if len(spec.names) < least or not all(_NUMBER.fullmatch(name) for name in spec.names):
        return []
    return [f"all {len(spec.names)} classes are numbers; if they are quantities, use an index with ?task=regression"]
