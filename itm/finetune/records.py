"""Records of fine-tuning: a run, a pair, and how the first models of a ranking compare once fine-tuned."""

from dataclasses import dataclass

from itm.core.types import Failure, Protocol


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
