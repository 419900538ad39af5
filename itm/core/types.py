"""The frozen records that travel between the steps: small, picklable, holding paths and never arrays."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Resume = Literal["always", "never", "only-missing", "only-cache"]
SplitName = Literal["train", "val", "test"]
Protocol = Literal["full", "head"]


@dataclass(frozen=True)
class TargetSpec:
    """What is common to all targets of a data set: its task kind, the names of its classes or labels, and numbers about it."""

    kind: str = "classification"
    names: tuple[str, ...] = ()
    facts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class DataRef:
    """An ingested data set: where its index lies and what the index says."""

    name: str
    source: str
    index: Path
    hash: str
    classes: tuple[str, ...]
    images: int
    set_aside: dict[str, int] = field(default_factory=dict)  # reason kind -> images


@dataclass(frozen=True)
class Preprocessing:
    """How a model wants its images; `None` leaves the value to timm's own configuration of the model."""

    input_size: int | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    crop: float | None = None
    interpolation: str | None = None


@dataclass(frozen=True)
class ModelRef:
    """A model before its weights are read: enough to build it in another process."""

    name: str
    architecture: str | None = None
    factory: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    checkpoint: Path | None = None
    sha256: str | None = None  # what the weight file must have
    pretrained: bool = False
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    family: str = ""
    pretraining: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a model without looking at the data."""

    parameters: int
    gmacs: float | None
    width: int
    input_size: int
    family: str
    pretraining: str


@dataclass(frozen=True, slots=True)
class Features:
    """A finished feature file of one (model, data) pair."""

    path: Path
    key: str
    model: str
    weights: str
    data: str
    data_hash: str
    rows: int
    facts: Facts
    images_per_second: float
    cached: bool

    @property
    def seconds(self) -> float:
        """Return how long the pass took."""
        return self.rows / self.images_per_second


@dataclass(frozen=True, slots=True)
class Score:
    """The value of one score on one pair, the draws its interval is made of, and the details that help to judge it."""

    data: str
    data_hash: str
    model: str
    weights: str
    score: str
    value: float
    draws: tuple[float, ...]
    seconds: float
    cached: bool = False
    details: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failure:
    """A pair, a model or a data set that gave no value, and why."""

    data: str
    model: str
    step: str
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything one (model, data) pair came to."""

    data: str
    model: str
    features: Features | None
    scores: tuple[Score, ...]
    failures: tuple[Failure, ...]
