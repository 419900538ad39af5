"""Multi-label classification: every image has any number of a set of labels."""

import ast
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from itm.core.errors import DataError, ScoreError
from itm.core.labels import clean, find_look_alikes, is_missing
from itm.core.text import compact, format_fixed, join_names, pluralize
from itm.core.types import TargetSpec
from itm.kinds.base import TaskKind, joined
from itm.kinds.metrics import AVERAGE_PRECISION, MICRO_F1, Metric, average_precisions

if TYPE_CHECKING:
    import torch

SEPARATORS = ("|", ";")
MOST_NAMES = 10  # in a message
LEAST = 2  # images with a label, and images without it
LEAST_IMAGES = 5
YES, NO = {"1", "true", "yes"}, {"0", "false", "no"}


class MultiLabel(TaskKind):
    """Targets are sets of labels, encoded as 0 or 1 per label [n, labels] in alphabetical order.

    The canonical text is a JSON list of names in alphabetical order. A label with fewer than two images, or with fewer than two
    images without it, has no column: nothing can be measured for it. Predictions are probabilities [n, labels].
    """

    name: ClassVar[str] = "multilabel"
    metrics: ClassVar[tuple[Metric, ...]] = (AVERAGE_PRECISION, MICRO_F1)
    target_column: ClassVar[str] = "labels"
    rank_by: ClassVar[tuple[str, ...]] = ("linear_probe", "logme", "knn")
    baseline_label: ClassVar[str] = "Giving every image the share of each label"
    held_out_meaning: ClassVar[str] = (
        "Average precision, the mean over labels: how well a small classifier sorts the images with a label before the others"
    )
    axes: ClassVar[tuple[int, ...]] = (2,)

    def texts(self, columns: Mapping[str, list[str]]) -> list[str]:
        """Return the labels of each row as a JSON list.

        One column has lists, or labels with one of `SEPARATORS` between them. Several columns have 0 or 1 for the label that
        names the column; their text is that of `joined`.
        """
        if len(columns) > 1:
            return joined(columns)
        (cells,) = columns.values()
        given = [cell for cell in cells if not is_missing(cell) and not _is_list(cell)]
        separator = next((mark for mark in SEPARATORS if any(mark in cell for cell in given)), SEPARATORS[0])
        return [cell if is_missing(cell) or _is_list(cell) else json.dumps(cell.split(separator)) for cell in cells]

    def read(self, text: str) -> str:
        """Return the sorted names as a JSON list; names that look the same are the same label."""
        if is_missing(text):
            raise DataError(f"no label; write {SEPARATORS[0]} for an image that has none of the labels")
        if text.startswith("{"):
            names = _from_indicators(json.loads(text))
        else:
            names = _parsed(text) if _is_list(text) else text.split(next((mark for mark in SEPARATORS if mark in text), "|"))
        return json.dumps(sorted({clean(name) for name in names if not is_missing(name)}), ensure_ascii=False)

    def specify(self, texts: Iterable[str]) -> TargetSpec:
        sets = [json.loads(text) for text in texts]
        images = Counter(name for own in sets for name in own)
        names = tuple(sorted(name for name, count in images.items() if LEAST <= count <= len(sets) - LEAST))
        facts = {"images": float(len(sets))} | {_fact(name): float(images[name]) for name in sorted(images)}
        return TargetSpec(self.name, names, facts)

    def encode(self, texts: Sequence[str], spec: TargetSpec) -> np.ndarray:
        numbers = {name: number for number, name in enumerate(spec.names)}
        found = np.zeros((len(texts), len(numbers)), dtype=np.uint8)
        for row, text in enumerate(texts):
            found[row, [numbers[name] for name in json.loads(text) if name in numbers]] = 1
        return found

    def check(self, targets: np.ndarray, spec: TargetSpec, splits: Sequence[str | None]) -> list[str]:  # noqa: ARG002
        if len(targets) < LEAST_IMAGES:
            return [f"there are {len(targets)} usable images; multi-label data needs {LEAST_IMAGES} or more"]
        images = targets.sum(axis=0, dtype=np.int64)
        if ((images < LEAST) | (images > len(targets) - LEAST)).all():
            return [f"no label has at least {LEAST} images with it and {LEAST} without it; a ranking needs such a label"]
        return []

    def warnings(self, spec: TargetSpec) -> list[str]:
        """Return labels that are left out, names that look alike, and names that may be several labels."""
        known, images = [name.removeprefix(_fact("")) for name in spec.facts if name != "images"], int(spec.facts["images"])
        found = []
        if rare := [f"{name!r} ({spec.facts[_fact(name)]:.0f} of {images})" for name in known if name not in spec.names]:
            found.append(
                f"left out, since fewer than {LEAST} images have the label or lack it: {join_names(rare, MOST_NAMES)}; "
                "the mean is over the other labels"
            )
        if alike := [" and ".join(map(repr, group)) for group in find_look_alikes(known)]:
            names = join_names(alike, MOST_NAMES)
            found.append(f"these labels have nearly the same name: {names}; rename them if they are one label")
        if several := [repr(name) for name in known if "," in name]:
            marks = " or ".join(SEPARATORS)
            found.append(f"these labels have a comma: {join_names(several, MOST_NAMES)}; separate several labels by {marks}")
        return found

    def absent(self, targets: np.ndarray, spec: TargetSpec) -> list[str]:
        return [name for name, present in zip(spec.names, targets.max(axis=0).tolist(), strict=True) if not present]

    def strata(self, targets: np.ndarray) -> np.ndarray:
        return targets

    def describe(self, spec: TargetSpec) -> str:
        if not spec.names:
            return "no labels"
        each = sum(spec.facts[_fact(name)] for name in spec.names) / spec.facts["images"]
        return f"{pluralize(len(spec.names), 'label')}, {compact(each)} per image"

    def baseline(self, known: np.ndarray, test: np.ndarray) -> np.ndarray:
        return np.tile(known.mean(axis=0), (len(test), 1))

    def head(self, width: int, spec: TargetSpec) -> "torch.nn.Linear":
        from torch import nn  # heavy, and ingestion does not need it

        return nn.Linear(width, len(spec.names))

    def loss(self, output: "torch.Tensor", target: "torch.Tensor", spec: TargetSpec) -> "torch.Tensor":  # noqa: ARG002
        """Return the mean binary cross-entropy per label in nats."""
        from torch.nn import functional

        return functional.binary_cross_entropy_with_logits(output, target.to(output.dtype))

    def predictions(self, output: "torch.Tensor", spec: TargetSpec) -> "torch.Tensor":  # noqa: ARG002
        return output.sigmoid()

    def problem(self, targets: np.ndarray) -> str:
        if (targets == targets[:1]).all():
            return "every image has the same labels; a score needs a label that some images have and others lack."
        return ""

    def numbers(self, targets: np.ndarray) -> np.ndarray:
        if targets.dtype.kind not in "biuf" or not np.isin(targets, (0, 1)).all():
            raise ScoreError("targets must be 0 or 1 for each row and label.")
        return targets.astype(np.uint8)

    def by_target(self, predicted: np.ndarray, actual: np.ndarray) -> dict[str, float]:
        """Return the average precision of each label."""
        values = average_precisions(predicted, actual).tolist()
        return {f"{AVERAGE_PRECISION.name}/{number}": value for number, value in enumerate(values)}

    def note(
        self,
        measured: Mapping[str, float],
        metric: str | None,  # noqa: ARG002
        standard_error: float,  # noqa: ARG002
        names: Sequence[str] = (),  # noqa: ARG002
    ) -> str:
        if MICRO_F1.name not in measured:
            return ""
        found = f"The first has a {MICRO_F1.label} of {format_fixed(measured[MICRO_F1.name], 3)} at a probability of 0.5"
        labels = {key.partition("/")[2]: value for key, value in measured.items() if "/" in key}
        if len(labels) < 2:
            return f"{found}."
        ends = [sorted(labels, key=lambda name: labels[name])[end] for end in (0, -1)]
        worst, best = (f"{format_fixed(labels[name], 3)} ({name})" for name in ends)
        return f"{found}, and an average precision from {worst} to {best}."


def _fact(name: str) -> str:
    """Return the name of the fact that is the number of images with a label."""
    return f"images with {name}"


def _is_list(text: str) -> bool:
    return text.strip().startswith("[")


def _parsed(text: str) -> list[str]:
    """Return the names in a list as JSON or as Python writes it."""
    try:
        names = json.loads(text)
    except ValueError:
        try:
            names = ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise DataError(f'{text!r} is not a list of labels; write ["cat", "dog"] or cat|dog') from None
    if not isinstance(names, list) or any(isinstance(name, list | dict) for name in names):
        raise DataError(f"{text!r} is not a list of labels; leave out inner lists")
    return ["" if name is None else str(name) for name in names]


def _from_indicators(cells: Mapping[str, str]) -> list[str]:
    """Return the labels whose cell is 1."""
    found = []
    for name, cell in cells.items():
        value = clean(cell).casefold().removesuffix(".0")
        if value not in YES | NO:
            raise DataError(f"the label {name!r} is {cell!r}; it must be 0 or 1")
        found += [name] * (value in YES)
    return found
