"""The options of ITM, and the check that keeps labelled evaluation from leaking labels."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from itm.core.errors import ItmError, ParamsError
from itm.scores.accuracy import Metric, check_metric
from itm.scores.itm.centres import Kind
from itm.scores.itm.evolution import Evolution, InnerLoss

LEAK = 0.01  # eta * n / B above which evolving held-out rows towards their own labels calls noise a pattern


@dataclass(frozen=True)
class ItmOptions:
    """Every switch of the method, the published setting being the default.

    Evolution: `eta` is the step of each of the `recursions`, 0 being the control that leaves embeddings where they are;
    `inner_loss` pulls them, by a mapping layer with or without `mapping_bias`, towards `centres`, which lie in
    `centre_dimensions` (0: as many as classes) and are placed by mean and std of the embeddings with `centre_offset`.

    Training: `hidden_blocks` of Linear(D -> D) and ReLU stand before the map; AdamW takes `steps` on batches of `batch_size`
    with `learning_rate` falling linearly to 0 over `schedule_steps`, and `weight_decay`.

    Evaluation: every `judge_every` steps, by the map `transferred` from the rows learnt from or, as the known code does it, by
    the true `labelled` classes; the score is the `best` of these or the `last`, by `metric`.
    """

    eta: float = 0.5
    recursions: int = 1
    inner_loss: InnerLoss = "mse"
    mapping_bias: bool = False
    centres: Kind = "one_hot"
    centre_dimensions: int = 0
    centre_offset: bool = False
    hidden_blocks: int = 0
    batch_size: int = 256
    steps: int = 500
    schedule_steps: int = 10_000
    judge_every: int = 100
    learning_rate: float = 5e-3
    weight_decay: float = 1e-2
    evaluation: Literal["transferred", "labelled"] = "transferred"
    pick: Literal["best", "last"] = "best"
    metric: Metric = "accuracy"

    def __post_init__(self) -> None:
        for name in ("recursions", "batch_size", "steps", "judge_every", "schedule_steps"):
            if getattr(self, name) < 1:
                raise ParamsError(f"itm: {name} is {getattr(self, name)}; it must be at least 1.")
        for name in ("centre_dimensions", "hidden_blocks", "weight_decay"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ParamsError(f"itm: {name} is {getattr(self, name)}; it must not be negative.")
        if not 0 < self.learning_rate < np.inf:
            raise ParamsError(f"itm: learning_rate is {self.learning_rate}; it must be above 0.")
        if not 0 <= self.eta <= 1:
            raise ParamsError(f"itm: eta is {self.eta}; the evolution contracts for 0 to 1 only.")
        if not self.judge_every <= self.steps <= self.schedule_steps:
            raise ParamsError(
                f"itm: judge_every <= steps <= schedule_steps is needed, "
                f"not {self.judge_every}, {self.steps}, {self.schedule_steps}."
            )
        check_metric("itm", self.metric)
        words = {
            "inner_loss": get_args(InnerLoss),
            "centres": get_args(Kind),
            "evaluation": ("transferred", "labelled"),
            "pick": ("best", "last"),
        }
        for name, known in words.items():
            if getattr(self, name) not in known:
                raise ParamsError(f"itm: {name} is {getattr(self, name)!r}; it is {' or '.join(map(repr, known))}.")
        if self.centres == "one_hot" and self.centre_dimensions:
            raise ParamsError(
                f"itm: centre_dimensions is {self.centre_dimensions}, but one_hot centres have as many as classes; "
                f"use 0, or centres 'random' or 'principal_axes'."
            )
        if self.inner_loss == "cross_entropy" and (self.centres != "one_hot" or self.centre_offset):
            raise ParamsError(
                f"itm: inner_loss cross_entropy needs centres that are distributions over classes, not {self.centres!r}"
                f"{' with an offset' if self.centre_offset else ''}; use one_hot without centre_offset."
            )
        if self.evaluation == "labelled":
            check_leak(self, self.batch_size, ParamsError)

    @property
    def evolution(self) -> Evolution:
        """Return the movement that these options ask for."""
        return Evolution(self.eta, self.recursions, self.inner_loss, self.mapping_bias)


def check_leak(options: ItmOptions, smallest: int, kind: type[ItmError]) -> None:
    """Refuse labelled evaluation in batches so small that a row's own label shows through."""
    leak = options.eta * options.recursions / smallest
    if leak > LEAK:
        raise kind(
            f"itm: labelled evaluation moves held-out rows to their own labels, and with batches of {smallest} rows at "
            f"eta * recursions / rows = {leak:.3g} (> {LEAK}) it scores noise as perfect; use 'transferred'."
        )
