"""Frozen records of confirmed.json: the first models of a ranking after fine-tuning."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Accuracy:
    """A mean accuracy over seeds and its 95 % interval, from the number of images and the spread of the seeds."""

    value: float
    low: float
    high: float
    images: int


@dataclass(frozen=True)
class Candidate:
    """A ranked model that was fine-tuned to confirm the ranking, or the reason of a failure."""

    model: str
    rank: int
    score: float
    weights: str | None = None
    seeds: int = 0
    learning_rate: float | None = None
    val: Accuracy | None = None
    test: Accuracy | None = None
    head_test: Accuracy | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Confirmed:
    """Comparison of the first models of a ranking after fine-tuning on one data set.

    `leader` has the best validation accuracy and `other` the next best. `lead` is their difference, and up to `noise` of it may
    be chance. `tied` are the models that validation cannot tell from the leader, itself included. `test_favours` is a model
    whose test accuracy is higher than that of the leader by more than chance. The comparison is decided, and `pick` is the
    leader, if neither exists or if no other model finished. `metric` is what tables call the metric that stands for accuracy.
    """

    data: str
    data_hash: str
    rank_by: str
    candidates: tuple[Candidate, ...]
    first: str
    leader: str | None = None
    other: str | None = None
    lead: float | None = None
    noise: float | None = None
    tied: tuple[str, ...] = ()
    test_favours: str | None = None
    metric: str = "accuracy"

    @property
    def pick(self) -> str | None:
        """Return the best model, or None if none finished or the comparison is undecided."""
        return None if self.tied or self.test_favours else self.leader

    @property
    def finished(self) -> tuple[Candidate, ...]:
        """Return the candidates that were fine-tuned."""
        return tuple(row for row in self.candidates if row.val is not None)
