"""Controls: facts about a model that need no images, and a random number.

A score that orders models no better than their size, cost or ImageNet accuracy has learned nothing from the images. A score
that is no better than chance says nothing at all.
"""

import hashlib

from pydantic import Field

from itm.scores.base import ConstantScore, Options, ScoreInfo
from itm.scores.model_info import ModelInfo
from itm.scores.registry import register


@register
class Parameters(ConstantScore[Options]):
    info = ScoreInfo(
        name="parameters",
        role="control",
        needs=("parameters",),
        summary="Control: the number of parameters, in millions.",
        meaning="How large the model is. It says nothing about the images. A useful score orders models better.",
        lowest=0.0,
        paper="control",
        cost="none",
    )

    def value(self, model: ModelInfo) -> float:
        assert model.parameters is not None
        return model.parameters / 1e6


@register
class Gmacs(ConstantScore[Options]):
    info = ScoreInfo(
        name="gmacs",
        role="control",
        needs=("gmacs",),
        summary="Control: billions of multiply-adds per image.",
        meaning="How costly the model is. It says nothing about the images. A useful score orders models better.",
        lowest=0.0,
        paper="control",
        cost="none",
    )

    def value(self, model: ModelInfo) -> float:
        assert model.gmacs is not None
        return float(model.gmacs)


@register
class ImagenetTop1(ConstantScore[Options]):
    info = ScoreInfo(
        name="imagenet_top1",
        role="control",
        needs=("imagenet_top1",),
        summary="Control: published accuracy on ImageNet, in percent.",
        meaning="How good the model is at the task it was published for. It is the same for all data sets, and hard to beat on "
        "images like those of ImageNet.",
        lowest=0.0,
        highest=100.0,
        paper="control; accuracies as timm publishes them",
        cost="none",
    )

    def value(self, model: ModelInfo) -> float:
        assert model.imagenet_top1 is not None
        return float(model.imagenet_top1)


class RandomOptions(Options):
    """The `seed` of the numbers of all models."""

    seed: int = Field(0, ge=0)


@register
class Random(ConstantScore[RandomOptions]):
    """A number from 0 to 1 that depends on the seed and the model's name alone."""

    options_type = RandomOptions
    info = ScoreInfo(
        name="random",
        role="control",
        needs=("identity",),
        summary="Control: a random number for each model.",
        meaning="A random number. Any agreement of this ranking with accuracies is chance.",
        lowest=0.0,
        highest=1.0,
        paper="control",
        cost="none",
    )

    def value(self, model: ModelInfo) -> float:
        assert model.identity is not None
        digest = hashlib.sha256(f"{self.options.seed} {model.identity}".encode()).digest()
        return int.from_bytes(digest[:8]) / 2**64
