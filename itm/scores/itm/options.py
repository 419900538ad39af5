"""The options of ITM, and the check that labelled evaluation does not leak labels."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from itm.scores.probe import ProbeOptions

Kind = Literal["one_hot", "random", "principal_axes"]
InnerLoss = Literal["mse", "cross_entropy", "mae"]
LEAK = 0.01  # eta * recursions / batch size above which evolving test rows towards their own classes scores noise as a pattern


class ItmOptions(ProbeOptions):
    """Every switch of the method; the defaults are the published setting.

    Test rows evolve by the layer that the training rows evolve along (`transferred`), or towards their own classes, as in the
    known code (`labelled`). The score is the evaluation that is best by `metric`, or the last one.
    """

    renamed: ClassVar[Mapping[str, str]] = {"judge_every": "evaluate_every"}
    eta: float = Field(0.5, ge=0, le=1)  # size of an evolution step, which contracts for 0 to 1 only; 0 is the control
    recursions: int = Field(1, ge=1)  # evolution steps
    inner_loss: InnerLoss = "mse"
    mapping_bias: bool = False  # whether the mapping layer has a bias
    centres: Kind = "one_hot"
    centre_dimensions: int = Field(0, ge=0)  # dimensions of the evolved space; 0: as many as classes
    centre_offset: bool = False  # whether centres are placed by mean and standard deviation of the embeddings
    hidden_blocks: int = Field(0, ge=0)  # blocks of Linear(D -> D) and ReLU before the map
    batch_size: int = Field(256, ge=1)
    steps: int = Field(500, ge=1)  # of AdamW
    schedule_steps: int = Field(10_000, ge=1)  # steps over which the learning rate would fall linearly to 0
    evaluate_every: int = Field(100, ge=1)  # steps between two evaluations on the test rows
    learning_rate: float = Field(5e-3, gt=0, allow_inf_nan=False)
    weight_decay: float = Field(1e-2, ge=0, allow_inf_nan=False)
    evaluation: Literal["transferred", "labelled"] = "transferred"
    pick: Literal["best", "last"] = "best"

    @model_validator(mode="after")
    def _fit_each_other(self) -> "ItmOptions":
        if not self.evaluate_every <= self.steps <= self.schedule_steps:
            raise ValueError(
                "evaluate_every <= steps <= schedule_steps is needed, "
                f"not {self.evaluate_every}, {self.steps}, {self.schedule_steps}"
            )
        if self.centres == "one_hot" and self.centre_dimensions:
            raise ValueError(
                f"centre_dimensions is {self.centre_dimensions}, but one_hot centres have as many as classes; "
                "use 0, or centres 'random' or 'principal_axes'"
            )
        if self.inner_loss == "cross_entropy" and (self.centres != "one_hot" or self.centre_offset):
            raise ValueError(
                f"inner_loss cross_entropy needs centres that are distributions over classes, not {self.centres!r}"
                f"{' with an offset' if self.centre_offset else ''}; use one_hot without centre_offset"
            )
        if self.evaluation == "labelled" and (problem := leak(self, self.batch_size)):
            raise ValueError(problem)
        return self


def leak(options: ItmOptions, smallest: int) -> str:
    """Return why labelled evaluation would leak labels in batches as small as `smallest` rows, or nothing if it would not."""
    share = options.eta * options.recursions / smallest
    if share <= LEAK:
        return ""
    return (
        f"labelled evaluation moves test rows towards their own labels; with batches of {smallest} rows at "
        f"eta * recursions / rows = {share:.3g} (> {LEAK}) it scores noise as perfect; use 'transferred'"
    )
