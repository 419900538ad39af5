"""What is known of a model beside its embeddings of the images it is judged on."""

from dataclasses import dataclass, fields
from typing import Literal, get_args

import numpy as np

from itm.core.errors import ScoreError

Need = Literal["logits", "parameters", "gmacs", "imagenet_top1", "identity"]
WORDS: dict[Need, tuple[str, str]] = {
    "logits": ("the outputs of the model's own classifier", "keep its head, or leave this score out for models without one"),
    "parameters": ("the number of the model's parameters", "give it"),
    "gmacs": ("the multiply-adds of one forward pass", "its operations could not be counted; leave this score out"),
    "imagenet_top1": ("a published ImageNet accuracy", "only timm's own checkpoints have one; leave this score out for others"),
    "identity": ("a name that tells the model from others", "give it"),
}


@dataclass(frozen=True)
class Source:
    """Everything a score may know of a model beside its embeddings; a score declares what of it it needs.

    `logits` [n, z] are of its own classifier on the same images.
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
        if not np.isfinite(self.logits.sum(axis=1, dtype=np.float64)).all():  # no array of truth values as large as this one
            raise ScoreError("logits hold values that are not finite.")

    def require(self, score: str, needs: tuple[Need, ...]) -> None:
        """Raise a ScoreError that names what a score needs and is not known."""
        for need in needs:
            if getattr(self, need) is None:
                what, advice = WORDS[need]
                raise ScoreError(f"{score} needs {what}, which is not known; {advice}.")


assert set(get_args(Need)) <= {field.name for field in fields(Source)}
