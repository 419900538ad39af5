"""Frozen records that the steps pass to each other. They are small, picklable, and hold paths instead of arrays."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from itm.core.errors import printable

Resume = Literal["always", "only-missing", "only-cache"]
Points = tuple[tuple[float, float], ...]  # pairs of target and prediction
SplitName = Literal["train", "val", "test"]
Protocol = Literal["full", "head", "lora", "norm", "last_block"]


@dataclass(frozen=True)
class TargetSpec:
    """Task kind of a data set, names of its classes or labels, and statistics of its targets."""

    kind: str = "classification"
    names: tuple[str, ...] = ()
    facts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Subset:
    """So many images of a data set, sampled with a seed. `itm.data.subset` says which."""

    images: int
    seed: int


@dataclass(frozen=True)
class DataRef:
    """An ingested data set.

    `hash` is the hash of its index. `groups` is the number of groups that the user named. `rejected` is the number of rejected
    images per reason. Embeddings are computed for the images of `subset` only, if there is one, and those of the smaller subset
    `known` are taken from the store where they are.
    """

    name: str
    source: str
    index: Path
    hash: str
    target: TargetSpec
    images: int
    groups: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    subset: Subset | None = None
    known: Subset | None = None


@dataclass(frozen=True)
class Preprocessing:
    """Preprocessing of images for a model. None means the value of timm's configuration of the model.

    `input_size` is in pixels: the side of a square, or height and width. `mean` and `std` have one number, or one per channel.
    """

    input_size: int | tuple[int, int] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    crop: float | None = None
    interpolation: str | None = None
    crop_mode: str | None = None


@dataclass(frozen=True)
class ModelRef:
    """Description of a model, sufficient to build it in another process.

    `block` is the last block that a variant computes, counted from 1, and `pooling` how it pools. None is what the model does.
    """

    name: str
    architecture: str | None = None
    factory: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    checkpoint: Path | None = None
    sha256: str | None = None  # required hash of the weight file
    weights_key: str | None = None  # which weights of the file, if it has several
    pretrained: bool = False
    repository: str | None = None  # of the Hugging Face Hub, with the weights of an architecture of timm
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    block: int | None = None
    pooling: str | None = None
    family: str = ""
    pretraining: str = ""
    licence: str | None = None  # of the weights, where a zoo file states it


@dataclass(frozen=True, slots=True)
class Facts:
    """Properties of a model that do not depend on data. `input_size` is in pixels, such as 224 or "96 x 48".

    `batch_norm` is whether it has layers of batch norm, or None where nobody looked.
    """

    parameters: int
    gmacs: float | None
    width: int
    input_size: int | str
    family: str
    pretraining: str
    batch_norm: bool | None = None


@dataclass(frozen=True, slots=True)
class Speed:
    """Speed and memory of a model on one `device`, without decoding.

    `latency_ms` is the median time of one image in milliseconds, `images_per_second` the throughput at the fastest `batch`, and
    `memory` the peak of that forward pass in bytes. `finetune_memory` is that of a step of full fine-tuning with
    `finetune_batch` images, or None where it is unknown.
    """

    device: str
    latency_ms: float
    images_per_second: float
    batch: int
    memory: int
    finetune_memory: int | None
    finetune_batch: int


@dataclass(frozen=True, slots=True)
class Features:
    """The feature file of one (model, data) pair. `facts` is None for own embeddings, and `images` unless rows are patches."""

    path: Path
    key: str
    model: str
    weights: str
    data: str
    data_hash: str
    kind: str
    rows: int
    facts: Facts | None
    images_per_second: float
    cached: bool
    images: int | None = None

    @property
    def seconds(self) -> float:
        """Return the duration of the forward pass."""
        return (self.images or self.rows) / self.images_per_second


@dataclass(frozen=True, slots=True)
class ScoreValue:
    """The value of one score on one (model, data) pair.

    The confidence interval is computed from `fold_values`, one value per fold. `details` are diagnostics of the score. `metric`
    is the name of the metric that the value is the mean of, if it is one. `points` are held-out predictions, by target.
    """

    data: str
    data_hash: str
    model: str
    weights: str
    score: str
    value: float
    fold_values: tuple[float, ...]
    seconds: float
    cached: bool = False
    details: dict[str, float] = field(default_factory=dict)
    metric: str | None = None
    points: dict[str, Points] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """One finished fine-tuning run. The state that is best on the validation images is tested on the test images.

    Accuracies are values of `metric`, shares between 0 and 1 for classification, and losses are those of the task kind, such as
    mean cross-entropies in nats. For segmentation, `test_pixel_accuracy` is the share of right pixels. Of `steps` steps, the
    state after `best_step` is kept. `image_size` is the longer side of the input in pixels.
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
    test_pixel_accuracy: float | None = None
    metric: str = "accuracy"


@dataclass(frozen=True, slots=True)
class Failure:
    """A model, a data set or a pair of them that has no value, and the reason."""

    data: str
    model: str
    step: str
    reason: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", printable(self.reason))  # tables and pages are UTF-8


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A model that was left out, the reason, and the key of `filters` that it exceeds.

    `data` names the data set that the race left it out of. Other limits leave a model out of all.
    """

    model: str
    reason: str
    limit: str
    data: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The results of one (model, data) pair."""

    data: str
    model: str
    features: Features | None = None
    scores: tuple[ScoreValue, ...] = ()
    failures: tuple[Failure, ...] = ()
    runs: tuple[Run, ...] = ()
    speed: Speed | None = None

    @property
    def reason(self) -> str:
        """Return why the pair failed, with the steps; nothing if it did not."""
        return "; ".join(f"{failure.step}: {failure.reason}" for failure in self.failures)
