"""What is known about a model besides its embeddings."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Literal, get_args

import numpy as np

from itm.core.errors import ScoreError
from itm.scores.common.statistics import BLOCK

Need = Literal["logits", "parameters", "gmacs", "imagenet_top1", "identity"]
NEEDS: dict[Need, tuple[str, str]] = {  # in words, and what to do where it is unknown
    "logits": ("the outputs of the model's own classifier", "keep its head, or leave this score out for models without one"),
    "parameters": ("the number of the model's parameters", "give it"),
    "gmacs": ("the multiply-adds of one forward pass", "its operations could not be counted; leave this score out"),
    "imagenet_top1": ("a published ImageNet accuracy", "only timm's own checkpoints have one; leave this score out for others"),
    "identity": ("a name that tells the model from others", "give it"),
}


@dataclass(frozen=True)
class ModelInfo:
    """Facts about a model that a score can declare as needed.

    `logits` [n, z] are the outputs of its own classifier for the same images, `gmacs` billions of multiply-adds of
    one forward pass, and `imagenet_top1` is the published accuracy in percent.
    """

    logits: np.ndarray | None = None
    parameters: float | None = None
    gmacs: float | None = None
    imagenet_top1: float | None = None
    identity: str | None = None

    def check(self, rows: int) -> None:
        """Raise a ScoreError if the logits are not [rows, z] or not finite."""
        if self.logits is None:
            return
        shape = self.logits.shape
        if len(shape) != 2 or shape[0] != rows or 0 in shape:
            raise ScoreError(f"logits have shape {shape}; {rows} along the first of 2 axes are needed.")
        if not np.isfinite(self.logits.sum(axis=1, dtype=np.float64)).all():  # a sum per row takes less memory than a mask
            raise ScoreError("logits hold values that are not finite.")

    def require(self, score: str, needs: tuple[Need, ...]) -> None:
        """Raise a ScoreError that names the first fact in `needs` that is unknown."""
        for need in needs:
            if getattr(self, need) is None:
                what, advice = NEEDS[need]
                raise ScoreError(f"{score} needs {what}, which is not known; {advice}.")

    def logit_blocks(self, rows: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield the positions in `rows` [n] and the logits [m, z] of these rows in float64, in blocks."""
        assert self.logits is not None
        size = max(1, BLOCK // self.logits.shape[1])
        for start in range(0, len(rows), size):
            where = slice(start, start + size)
            yield where, self.logits[rows[where]].astype(np.float64)


assert set(get_args(Need)) <= {field.name for field in fields(ModelInfo)}
