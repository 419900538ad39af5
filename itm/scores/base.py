"""The contract of a score: what it says about itself, its options, and how its value and interval come about."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator

from itm.core.errors import ParamsError, ScoreError
from itm.core.types import Points
from itm.core.yaml_records import with_new_names
from itm.kinds import TaskKind
from itm.kinds.metrics import describe_range
from itm.scores.folds import Splitting
from itm.scores.model_info import NEEDS, ModelInfo, Need
from itm.scores.sample import Sample

CLASSES = ("classification", "segmentation")  # the kinds whose rows have classes: those of images, and those of patches
Sampling = Literal["held_out", "subset", "constant", "pooled"]


class Options(BaseModel):
    """The options of a score, with their defaults and limits; a score without options uses this class.

    `renamed` has the new names of options that were called otherwise before; the old names still work.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    renamed: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _read_old_names(cls, values: Any) -> Any:
        return with_new_names(values, cls.renamed)


OptionsT = TypeVar("OptionsT", bound=Options)


@dataclass(frozen=True)
class ScoreInfo:
    """What a score says about itself.

    Raise `version` when values change: stored values of other versions are computed again, those of other scores stay. A
    `control` shows what a score must beat to be worth anything.
    """

    name: str
    summary: str  # what it measures, in one sentence
    meaning: str  # what its number tells a reader of the report
    paper: str
    cost: str  # how its run time grows, in a few words
    version: int = 1
    kinds: tuple[str, ...] = CLASSES
    role: Literal["score", "control"] = "score"
    needs: tuple[Need, ...] = ()  # facts about the model that must be known
    lowest: float = -np.inf  # bounds of its values; a probe score has those of its metric
    highest: float = np.inf


@dataclass(frozen=True)
class Evaluation:
    """The value of a score for one sample, and one per fold, from which the interval is computed.

    The `details` of a probe score are the mean over folds of every metric of the kind, the `baseline` that uses targets alone,
    and the `control` of scores that have one; `metric` names the metric that its value is the mean of. `points` are some of the
    predictions, for kinds that draw them.
    """

    value: float
    fold_values: tuple[float, ...]
    details: dict[str, float] = field(default_factory=dict)
    metric: str | None = None
    points: dict[str, Points] = field(default_factory=dict)


class Score(ABC, Generic[OptionsT]):
    """A score: a number per model that should be higher the better the model is after fine-tuning.

    Derive from one of the four subclasses: `StatisticScore`, `itm.scores.probe.ProbeScore`, `CombinedScore`, `ConstantScore`.
    """

    info: ClassVar[ScoreInfo]
    options_type: ClassVar[type[Options]] = Options
    sampling: ClassVar[Sampling]  # what its fold values are, which decides how an interval is computed from them
    together: ClassVar[bool] = False  # whether several samples with equal folds and width are computed in one program

    def __init__(self, options: OptionsT | None = None) -> None:
        self.options: OptionsT = self.options_type() if options is None else options  # type: ignore[assignment]

    @abstractmethod
    def evaluate(self, samples: Sequence[Sample], splitting: Splitting, device: str) -> list[Evaluation | ScoreError]:
        """Return the value for each sample, or why there is none; a ScoreError that is raised holds for all of them."""

    @classmethod
    def value_range(cls, kind: TaskKind) -> str:  # noqa: ARG003
        """Return the bounds of its values for a kind of task, in words."""
        return describe_range(cls.info.lowest, cls.info.highest)

    @classmethod
    def requirements(cls) -> str:
        """Return in words what the score is computed from."""
        return " and ".join([*cls._inputs(), *(NEEDS[need][0] for need in cls.info.needs)])

    @classmethod
    def _inputs(cls) -> list[str]:
        return ["embeddings"]


class StatisticScore(Score[OptionsT]):
    """A score that is one value of all rows; its fold values are values of the training rows of each fold."""

    sampling: ClassVar[Sampling] = "subset"

    @abstractmethod
    def value(self, sample: Sample) -> float:
        """Return the value for a sample.

        Raises
        ------
        ScoreError
            If the score is undefined for it.
        """

    def evaluate(self, samples: Sequence[Sample], splitting: Splitting, device: str) -> list[Evaluation | ScoreError]:  # noqa: ARG002
        return [
            Evaluation(float(self.value(sample)), tuple(float(self.value(part)) for part in sample.training_parts(splitting)))
            for sample in samples
        ]


class ConstantScore(Score[OptionsT]):
    """A score that depends on the model alone and not on the images; all its fold values are equal."""

    sampling: ClassVar[Sampling] = "constant"

    @abstractmethod
    def value(self, model: ModelInfo) -> float:
        """Return the value of a model; the facts that the score needs are known."""

    def evaluate(self, samples: Sequence[Sample], splitting: Splitting, device: str) -> list[Evaluation | ScoreError]:  # noqa: ARG002
        values = [float(self.value(sample.model)) for sample in samples]
        return [Evaluation(value, (value,) * splitting.count) for value in values]

    @classmethod
    def _inputs(cls) -> list[str]:
        return []


class CombinedScore(Score[OptionsT]):
    """A weighted sum of other scores, each scaled to 0 to 1 over the models that are ranked together.

    It is the only kind of score that changes when a model is added to the ranking.
    """

    sampling: ClassVar[Sampling] = "pooled"
    weights: ClassVar[Mapping[str, float]]

    def evaluate(self, samples: Sequence[Sample], splitting: Splitting, device: str) -> list[Evaluation | ScoreError]:  # noqa: ARG002
        """Raise a ParamsError: there is no value of one model."""
        raise ParamsError(
            f"score {self.info.name!r} is made of several models' values; rank them, or ask for {' or '.join(self.weights)}."
        )

    @classmethod
    def _inputs(cls) -> list[str]:
        return [f"the values of {' and '.join(cls.weights)} of all models"]


AnyScore = type[Score[Any]]
