"""Frozen records of a ranking."""

from dataclasses import dataclass, field
from typing import Any, Literal

from itm.core.types import Exclusion, Facts, Failure, Points, Speed, TargetSpec


@dataclass(frozen=True, slots=True)
class Estimate:
    """A score's value with its standard error and 95 % interval, the values per fold that both come from, and its details."""

    value: float
    low: float
    high: float
    fold_values: tuple[float, ...]
    standard_error: float = 0.0
    details: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PredictedAccuracy:
    """The accuracy that full fine-tuning is expected to reach, as a share of 1, with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class RankedModel:
    """One row of a ranking. A failed model has neither rank nor estimate, but failures with reasons.

    `predicted` is None where the task is not classification or the linear probe was not computed.
    """

    model: str
    status: Literal["ranked", "failed"]
    rank: int | None = None
    tie_group: int | None = None
    estimate: Estimate | None = None
    scores: dict[str, Estimate] = field(default_factory=dict)
    weights: str | None = None
    facts: Facts | None = None
    speed: Speed | None = None
    failures: tuple[Failure, ...] = ()
    tied_with_first: bool = False
    predicted: PredictedAccuracy | None = None


@dataclass(frozen=True)
class MetricFacts:
    """The name of a metric, what tables call it, and its direction."""

    name: str
    label: str
    higher_is_better: bool = True


@dataclass(frozen=True)
class DataRanking:
    """The ranking of all models on one data set; a data set that failed has a reason and only failed rows.

    `metric` is the main metric of the task kind. `score_metric` names the metric that the score ranked by is a mean of, if it
    is one. `groups` counts the groups that the user named, `rejected` the rejected images by reason. `recipe` is Python code
    that builds the first model with timm. `not_applicable` are wanted scores that are not defined for the task kind.
    `points` are held-out predictions of the first model, by target.
    """

    data: str
    source: str
    hash: str
    images: int
    target: TargetSpec
    metric: MetricFacts
    rank_by: str
    rows: tuple[RankedModel, ...]
    score_metric: str | None = None
    groups: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    reason: str | None = None
    recipe: str = ""
    not_applicable: tuple[str, ...] = ()
    points: dict[str, Points] = field(default_factory=dict)


@dataclass(frozen=True)
class ScoreFacts:
    """The description of a score for readers of a report."""

    name: str
    summary: str
    meaning: str
    value_range: str
    paper: str
    kinds: tuple[str, ...] = ("classification",)


@dataclass(frozen=True)
class Ranking:
    """The content of ranking.json: the ranking of each data set, the descriptions of the scores, and the provenance.

    `excluded` are the models that `filters` of the parameters left out before any work, or dropped in a race.
    """

    data_sets: tuple[DataRanking, ...]
    scores: tuple[ScoreFacts, ...]
    provenance: dict[str, Any]
    excluded: tuple[Exclusion, ...] = ()
