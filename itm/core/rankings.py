"""The frozen records of a ranking, from one score's estimate to the whole file."""

from dataclasses import dataclass, field
from typing import Any, Literal

from itm.core.types import Facts, Failure


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
