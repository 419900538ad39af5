"""Controls: what can be said of a model without looking at the images, and a number drawn at random.

A score that orders models no better than its size, its cost or its ImageNet accuracy does has seen nothing in the images, and
one that is no better than chance says nothing at all.
"""

import hashlib
from dataclasses import dataclass

from itm.core.errors import ParamsError
from itm.scores.evaluate import Definition, Sample, register


@dataclass(frozen=True)
class ControlOptions:
    """A fact about a model has none."""


@dataclass(frozen=True)
class RandomOptions:
    """The `seed` of all models' numbers."""

    seed: int = 0

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ParamsError(f"random needs seed >= 0, not {self.seed}.")


def parameters(sample: Sample, options: ControlOptions) -> float:  # noqa: ARG001
    """Return the number of the model's parameters, in millions."""
    assert sample.source.parameters is not None
    return sample.source.parameters / 1e6


def gmacs(sample: Sample, options: ControlOptions) -> float:  # noqa: ARG001
    """Return the multiply-adds of one image, in thousands of millions."""
    assert sample.source.gmacs is not None
    return float(sample.source.gmacs)


def imagenet_top1(sample: Sample, options: ControlOptions) -> float:  # noqa: ARG001
    """Return the accuracy on ImageNet that is published for the model, in per cent."""
    assert sample.source.imagenet_top1 is not None
    return float(sample.source.imagenet_top1)


def random(sample: Sample, options: RandomOptions) -> float:
    """Return a number from 0 to 1 that a seed and the model's identity decide, and neither images nor other models do."""
    assert sample.source.identity is not None
    digest = hashlib.sha256(f"{options.seed} {sample.source.identity}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


PARAMETERS = register(
    Definition(
        name="parameters",
        function=parameters,
        options=ControlOptions(),
        sampling="constant",
        needs=("parameters",),
        summary="Control: the number of parameters, in millions.",
        meaning="How large the model is. It says nothing of the images: a score worth its cost orders better.",
        lowest=0.0,
        paper="control",
        cost="none",
    )
)
GMACS = register(
    Definition(
        name="gmacs",
        function=gmacs,
        options=ControlOptions(),
        sampling="constant",
        needs=("gmacs",),
        summary="Control: thousands of millions of multiply-adds for one image.",
        meaning="How costly the model is. It says nothing of the images: a score worth its cost orders better.",
        lowest=0.0,
        paper="control",
        cost="none",
    )
)
IMAGENET_TOP1 = register(
    Definition(
        name="imagenet_top1",
        function=imagenet_top1,
        options=ControlOptions(),
        sampling="constant",
        needs=("imagenet_top1",),
        summary="Control: published accuracy on ImageNet, in per cent.",
        meaning="How good the model is at what it was published for. It is the same for all data sets, and hard to beat on "
        "images like those of ImageNet.",
        lowest=0.0,
        highest=100.0,
        paper="control; accuracies as timm publishes them",
        cost="none",
    )
)
RANDOM = register(
    Definition(
        name="random",
        function=random,
        options=RandomOptions(),
        sampling="constant",
        needs=("identity",),
        summary="Control: a number drawn at random for each model.",
        meaning="Nothing. Whatever a ranking by this seems to show, such as a correlation with accuracies, is chance.",
        lowest=0.0,
        highest=1.0,
        paper="control",
        cost="none",
    )
)
