"""Regression: every image has a number."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from itm.core.errors import DataError
from itm.core.labels import clean, is_missing
from itm.core.text import compact, format_fixed
from itm.core.types import TargetSpec
from itm.kinds.base import TaskKind
from itm.kinds.metrics import MAE, R2, SPEARMAN, Metric

if TYPE_CHECKING:
    import torch

MOST_BINS = 10
LEAST_PER_BIN = 5
_COMMA = re.compile(r"[+-]?\d+,\d+")
LARGEST = 1e100  # squares of targets and sums of them must be finite


class Regression(TaskKind):
    """Targets are finite numbers. Splits, folds and samples are balanced over quantile bins of them."""

    name: ClassVar[str] = "regression"
    metrics: ClassVar[tuple[Metric, ...]] = (R2, MAE, SPEARMAN)
    target_column: ClassVar[str] = "target"
    rank_by: ClassVar[tuple[str, ...]] = ("linear_probe", "logme", "knn")
    baseline_label: ClassVar[str] = "Always predicting the mean of the targets"
    held_out_meaning: ClassVar[str] = "R², the share of the variance of the targets that a small model explains"

    def read(self, text: str) -> str:
        """Return the number in its shortest form."""
        if is_missing(text):
            raise DataError("no target")
        try:
            number = float(text)
        except ValueError:
            hint = "; write a decimal point" if _COMMA.fullmatch(clean(text)) else ""
            raise DataError(f"{text!r} is not a number{hint}") from None
        if not abs(number) < LARGEST:
            raise DataError(f"{text!r} is not a finite number below {LARGEST:g}")
        return repr(number)

    def specify(self, texts: Iterable[str]) -> TargetSpec:
        numbers = [float(text) for text in texts]
        return TargetSpec(self.name, facts={"lowest": min(numbers), "highest": max(numbers)} if numbers else {})

    def encode(self, texts: Sequence[str], spec: TargetSpec) -> np.ndarray:  # noqa: ARG002
        return np.array([float(text) for text in texts], dtype=np.float64)

    def check(self, targets: np.ndarray, spec: TargetSpec, splits: Sequence[str | None]) -> list[str]:  # noqa: ARG002
        if len(targets) < LEAST_PER_BIN:
            return [f"there are {len(targets)} usable images; regression needs {LEAST_PER_BIN} or more"]
        if (targets == targets[0]).all():
            return [f"every target is {targets[0]:g}; a ranking needs targets that differ"]
        return []

    def strata(self, targets: np.ndarray) -> np.ndarray:
        """Return the quantile bin of each number; equal numbers are in one bin."""
        bins = max(1, min(MOST_BINS, len(targets) // LEAST_PER_BIN))
        edges = np.quantile(targets, np.arange(1, bins) / bins) if len(targets) else targets
        return np.searchsorted(np.unique(edges), targets, side="right")

    def describe(self, spec: TargetSpec) -> str:
        if not spec.facts:
            return "no targets"
        return f"numbers from {compact(spec.facts['lowest'])} to {compact(spec.facts['highest'])}"

    def baseline(self, known: np.ndarray, test: np.ndarray) -> np.ndarray:
        return np.full(len(test), known.mean())

    def head(self, width: int, spec: TargetSpec) -> "torch.nn.Linear":  # noqa: ARG002
        from torch import nn  # heavy, and ingestion does not need it

        return nn.Linear(width, 1)

    def loss(self, output: "torch.Tensor", target: "torch.Tensor") -> "torch.Tensor":
        from torch.nn import functional

        return functional.mse_loss(output[..., 0], target.to(output.dtype))

    def predictions(self, output: "torch.Tensor") -> "torch.Tensor":
        return output[..., 0]

    def problem(self, targets: np.ndarray) -> str:
        if targets.dtype.kind not in "fiu" or not np.isfinite(targets).all():
            return "targets must be finite numbers."
        if (targets == targets[0]).all():
            return f"every target is {targets[0]:g}; a score needs targets that differ."
        return ""

    def note(self, measured: Mapping[str, float], metric: str | None, standard_error: float) -> str:  # noqa: ARG002
        if not {"mae", "spearman"} <= measured.keys():
            return ""
        error, correlation = compact(measured["mae"]), format_fixed(measured["spearman"], 3)
        return f"The first has a mean absolute error of {error} and a Spearman correlation of {correlation}."
