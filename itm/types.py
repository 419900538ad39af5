"""The frozen records that travel between the steps: small, picklable, holding paths and never arrays."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Resume = Literal["always", "never", "only-missing", "only-cache"]
SplitName = Literal["train", "val", "test"]
Protocol = Literal["full", "head"]


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


@dataclass(frozen=True)
class References:
    """Feature files that some scores compare a pair's embeddings with, or what became of them.

    `source` is of the same model on images that stand for those it was trained on; `untrained` of a model that has learnt
    nothing, on the same images.
    """

    source: "Features | Failure | None" = None
    untrained: "Features | Failure | None" = None


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


@dataclass(frozen=True, slots=True)
class Estimate:
    """A score's value with its standard error and 95 % interval, the draws they come from, and the score's details."""

    value: float
    low: float
    high: float
    draws: tuple[float, ...]
    standard_error: float = 0.0
    details: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RankedModel:
    """One line of a ranking. A failed model has no rank, no estimate, and a reason."""

    model: str
    status: Literal["ranked", "failed"]
    rank: int | None = None
    tie_group: int | None = None
    estimate: Estimate | None = None
    scores: dict[str, Estimate] = field(default_factory=dict)
    weights: str | None = None
    facts: Facts | None = None
    images_per_second: float | None = None
    failures: tuple[Failure, ...] = ()
    tied_with_first: bool = False


@dataclass(frozen=True)
class DataRanking:
    """The ranking of the whole pool on one data set; a data set that failed has a reason and only failed rows."""

    data: str
    source: str
    hash: str
    images: int
    classes: tuple[str, ...]
    set_aside: dict[str, int]
    rows: tuple[RankedModel, ...]
    reason: str | None = None


@dataclass(frozen=True)
class ScoreFacts:
    """What a score is, in words a reader of the report understands."""

    name: str
    summary: str
    meaning: str
    value_range: str
    paper: str


@dataclass(frozen=True)
class Ranking:
    """What ranking.json holds: every data set's ranking, what the scores mean, and where all of it comes from."""

    rank_by: str
    data_sets: tuple[DataRanking, ...]
    scores: tuple[ScoreFacts, ...]
    provenance: dict[str, Any]


@dataclass(frozen=True)
class Run:
    """One finished fine-tuning run, judged on test images by the state that was best on validation images.

    Accuracies are shares of images between 0 and 1, losses mean cross-entropies in nats. `steps` were taken, `best_step` is
    the one whose state was kept.
    """

    data: str
    data_hash: str
    model: str
    weights: str
    protocol: Protocol
    seed: int
    learning_rate: float
    weight_decay: float
    steps: int
    best_step: int
    train_accuracy: float
    val_accuracy: float
    val_loss: float
    test_accuracy: float
    test_loss: float
    image_size: int
    train_images: int
    val_images: int
    test_images: int
    images_per_second: float
    seconds: float
    device: str
    cached: bool = False


@dataclass(frozen=True)
class Finetuned:
    """Everything the fine-tuning of one (model, data) pair came to: its runs, or what failed."""

    data: str
    model: str
    runs: tuple[Run, ...] = ()
    failure: Failure | None = None


@dataclass(frozen=True)
class Candidate:
    """A ranked model that was fine-tuned to confirm the ranking: means over seeds, or a reason why there are none.

    `val_error` is the standard error of the validation accuracy, over images and seeds; `test_sd` the spread over seeds.
    """

    model: str
    rank: int
    score: float
    seeds: int = 0
    learning_rate: float | None = None
    val_accuracy: float | None = None
    val_error: float | None = None
    test_accuracy: float | None = None
    test_sd: float | None = None
    head_test_accuracy: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Confirmed:
    """What fine-tuning the first models of a ranking came to on one data set.

    `pick` has the best validation accuracy. `other` is what it is compared with: the ranking's `first`, or the next best where
    that is the pick. `lead` and `noise` are shares of validation images; a lead within noise may be chance.
    """

    data: str
    rank_by: str
    candidates: tuple[Candidate, ...]
    first: str
    pick: str | None = None
    other: str | None = None
    lead: float | None = None
    noise: float | None = None
    within_noise: bool | None = None
