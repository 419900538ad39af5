"""Regression: every image has a number, or several."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from itm.core.errors import DataError
from itm.core.labels import clean, is_missing
from itm.core.text import compact, format_fixed, join_names
from itm.core.types import Points, TargetSpec
from itm.kinds.base import TaskKind, joined
from itm.kinds.metrics import MAE, R2, SPEARMAN, Metric

if TYPE_CHECKING:
    import torch

MOST_BINS = 10
LEAST_PER_BIN = 5
MOST_NAMES = 4  # in a message
MOST_POINTS = 200  # of a figure
ENDS = ("lowest", "highest")  # facts of a target
_COMMA = re.compile(r"[+-]?\d+,\d+")
_UNIT = re.compile(r"(?P<name>.*\S)\s*(?:\[(?P<unit>[^\[\]]+)\]|\((?P<of>[^()]+)\))")  # such as "height [mm]"
LARGEST = 1e100  # squares of targets and sums of them must be finite


class Regression(TaskKind):
    """Targets are finite numbers [n], or several per row [n, t]. Splits, folds and samples are balanced over quantile bins.

    The canonical text is the number, or a JSON object with the number of each column.
    """

    name: ClassVar[str] = "regression"
    metrics: ClassVar[tuple[Metric, ...]] = (R2, MAE, SPEARMAN)
    target_column: ClassVar[str] = "target"
    rank_by: ClassVar[tuple[str, ...]] = ("linear_probe", "logme", "knn")
    baseline_label: ClassVar[str] = "Always predicting the mean of the targets"
    held_out_meaning: ClassVar[str] = "R², the share of the variance of the targets that a small model explains"
    axes: ClassVar[tuple[int, ...]] = (1, 2)

    def texts(self, columns: Mapping[str, list[str]]) -> list[str]:
        """Return the number of each row; of several columns, or of one whose name has a unit in brackets, those of `joined`."""
        if len(columns) > 1 or any(map(_UNIT.fullmatch, columns)):
            return joined(columns)
        return super().texts(columns)

    def read(self, text: str) -> str:
        """Return the numbers in their shortest form."""
        if text.startswith("{"):
            cells: dict[str, str] = json.loads(text)
            if all(map(is_missing, cells.values())):
                raise DataError("no target")
            return json.dumps({clean(name): _number(cell, name) for name, cell in cells.items()}, ensure_ascii=False)
        if is_missing(text):
            raise DataError("no target")
        return repr(_number(text))

    def specify(self, texts: Iterable[str]) -> TargetSpec:
        texts = list(texts)
        names = tuple(json.loads(texts[0])) if texts and texts[0].startswith("{") else ()
        if not texts:
            return TargetSpec(self.name)
        each = zip(names or ("",), map(_facts, _numbers(texts).T), strict=True)
        return TargetSpec(self.name, names, {_fact(what, name): value for name, own in each for what, value in own.items()})

    def encode(self, texts: Sequence[str], spec: TargetSpec) -> np.ndarray:
        numbers = _numbers(texts)
        return numbers if len(spec.names) > 1 else numbers[:, 0]

    def check(self, targets: np.ndarray, spec: TargetSpec, splits: Sequence[str | None]) -> list[str]:  # noqa: ARG002
        if len(targets) < LEAST_PER_BIN:
            return [f"there are {len(targets)} usable images; regression needs {LEAST_PER_BIN} or more"]
        if targets.ndim == 1 and (targets == targets[0]).all():
            return [f"every target is {targets[0]:g}; a ranking needs targets that differ"]
        if equal := [repr(spec.names[number]) for number in _equal(targets)]:
            return [f"every image has the same {join_names(equal, MOST_NAMES)}; leave out targets that do not differ"]
        return []

    def strata(self, targets: np.ndarray) -> np.ndarray:
        """Return the quantile bin of each number, or the memberships of the bins of several; equal numbers are in one bin."""
        if targets.ndim > 1:
            columns = [self.strata(column)[:, None] for column in targets.T]
            return np.concatenate([own == np.arange(MOST_BINS + 1) for own in columns], axis=1)
        bins = max(1, min(MOST_BINS, len(targets) // LEAST_PER_BIN))
        edges = np.quantile(targets, np.arange(1, bins) / bins) if len(targets) else targets
        return np.searchsorted(np.unique(edges), targets, side="right")

    def describe(self, spec: TargetSpec) -> str:
        if not spec.facts:
            return "no targets"
        ends = [(name, *(compact(spec.facts[_fact(end, name)]) for end in ENDS)) for name in spec.names or ("",)]
        if not spec.names:
            return "numbers from {1} to {2}".format(*ends[0])
        return join_names([f"{name} from {low} to {high}" for name, low, high in ends], MOST_NAMES)

    def baseline(self, known: np.ndarray, test: np.ndarray) -> np.ndarray:
        return np.full(test.shape, known.mean(axis=0))

    def head(self, width: int, spec: TargetSpec) -> "torch.nn.Linear":
        from torch import nn  # heavy, and ingestion does not need it

        return nn.Linear(width, max(1, len(spec.names)))

    def loss(self, output: "torch.Tensor", target: "torch.Tensor", spec: TargetSpec) -> "torch.Tensor":
        """Return the mean Huber loss of standardised targets (Huber 1964), quadratic up to one standard deviation."""
        from torch.nn import functional

        mean, deviation = self._scale(output, spec)
        standardised = (target.to(mean).reshape(output.shape) - mean) / deviation
        return functional.huber_loss(output, standardised.to(output.dtype))

    def predictions(self, output: "torch.Tensor", spec: TargetSpec) -> "torch.Tensor":
        """Return the numbers of standardised outputs in the unit of the targets, cut at the range of the targets.

        Otherwise one image unlike all others could decide R².
        """
        mean, deviation = self._scale(output, spec)
        low, high = self._of_each(output, spec, ENDS)
        numbers = (output * deviation + mean).clamp(low, high)
        return numbers if numbers.shape[-1] > 1 else numbers[..., 0]

    def _scale(self, output: "torch.Tensor", spec: TargetSpec) -> "tuple[torch.Tensor, torch.Tensor]":
        """Return mean and standard deviation of each target."""
        return self._of_each(output, spec, ("mean", "deviation"))

    def _of_each(self, output: "torch.Tensor", spec: TargetSpec, facts: tuple[str, str]) -> "tuple[torch.Tensor, torch.Tensor]":
        """Return two facts of each target, at least in single precision."""
        import torch

        values = [[spec.facts[_fact(what, name)] for name in spec.names or ("",)] for what in facts]
        precise = torch.promote_types(output.dtype, torch.float32)
        one, other = torch.tensor(values, dtype=precise, device=output.device)
        return one, other

    def problem(self, targets: np.ndarray) -> str:
        if targets.dtype.kind not in "fiu" or not np.isfinite(targets).all():
            return "targets must be finite numbers."
        if targets.ndim == 1 and (targets == targets[0]).all():
            return f"every target is {targets[0]:g}; a score needs targets that differ."
        if equal := _equal(targets):
            return f"target {equal[0]}, counted from 0, is the same in every row; a score needs targets that differ."
        return ""

    def by_target(self, predicted: np.ndarray, actual: np.ndarray) -> dict[str, float]:
        """Return R² and the mean absolute error of each of several targets."""
        if actual.ndim == 1:
            return {}
        pairs = list(enumerate(zip(predicted.T, actual.T, strict=True)))
        return {f"{metric.name}/{number}": metric.value(*pair) for metric in (R2, MAE) for number, pair in pairs}

    def points(self, predicted: np.ndarray, actual: np.ndarray) -> dict[str, Points]:
        """Return `MOST_POINTS` rows at most, evenly spread over the rows."""
        chosen = np.unique(np.linspace(0, len(actual) - 1, MOST_POINTS).astype(np.int64))
        columns = (np.asarray(values)[chosen].reshape(len(chosen), -1).T.tolist() for values in (actual, predicted))
        pairs = enumerate(zip(*columns, strict=True))
        return {str(number): tuple(zip(true, found, strict=True)) for number, (true, found) in pairs}

    def note(
        self,
        measured: Mapping[str, float],
        metric: str | None,  # noqa: ARG002
        standard_error: float,  # noqa: ARG002
        names: Sequence[str] = (),
    ) -> str:
        if "spearman" not in measured:
            return ""
        correlation = f"a Spearman correlation of {format_fixed(measured['spearman'], 3)}"
        errors = {key.partition("/")[2]: compact(value) for key, value in measured.items() if key.startswith(f"{MAE.name}/")}
        if "mae" in measured:
            error = with_unit(compact(measured["mae"]), names[0]) if names else compact(measured["mae"])
            return f"The first has a mean absolute error of {error} and {correlation}."
        each = join_names([with_unit(value, name) for name, value in errors.items()], MOST_NAMES)
        return f"The first has {correlation}, and mean absolute errors of {each}."


def with_unit(value: str, name: str) -> str:
    """Return a value with the unit that the name of a target has in brackets, and the name.

    >>> with_unit("3.2", "height [mm]"), with_unit("3.2", "weight (kg)"), with_unit("0.1", "share")
    ('3.2 mm (height)', '3.2 kg (weight)', '0.1 (share)')
    """
    match = _UNIT.fullmatch(name)
    return f"{value} {match['unit'] or match['of']} ({match['name']})" if match else f"{value} ({name})"


def _number(text: str, name: str = "") -> float:
    """Return a number, or raise a DataError that says what is wrong with the one of this column."""
    of_column = f" of {name!r}" if name else ""
    if is_missing(text):
        raise DataError(f"there is no value{of_column}")
    try:
        number = float(text)
    except ValueError:
        hint = "; write a decimal point" if _COMMA.fullmatch(clean(text)) else ""
        raise DataError(f"{text!r}{of_column} is not a number{hint}") from None
    if not abs(number) < LARGEST:
        raise DataError(f"{text!r}{of_column} is not a finite number below {LARGEST:g}")
    return number


def _numbers(texts: Sequence[str]) -> np.ndarray:
    """Return canonical texts as numbers [n, t]."""
    rows = [list(json.loads(text).values()) if text.startswith("{") else [float(text)] for text in texts]
    return np.array(rows, dtype=np.float64).reshape(len(texts), -1 if texts else 1)


def _facts(numbers: np.ndarray) -> dict[str, float]:
    """Return the facts of one target: its range, and the scale by which fine-tuning standardises it."""
    values = (numbers.min(), numbers.max(), numbers.mean(), numbers.std())
    return dict(zip((*ENDS, "mean", "deviation"), map(float, values), strict=True))


def _fact(what: str, name: str) -> str:
    return f"{what} {name}" if name else what


def _equal(targets: np.ndarray) -> list[int]:
    """Return the numbers of the targets that are equal in all rows."""
    return np.flatnonzero((targets == targets[:1]).all(axis=0)).tolist() if targets.ndim > 1 else []
