"""The records of a refresh. They are small, so hundreds of them can be read for a plot."""

from dataclasses import dataclass, field
from typing import Literal

from itm.run.work import Work

Verdict = Literal["first ranking", "same winner", "within noise", "winner changed", "nothing ranked"]


@dataclass(frozen=True, slots=True)  # a month of nights holds hundreds of thousands of them
class Place:
    """The rank of a model on a data set. A failed model has a reason instead of a rank."""

    model: str
    weights: str | None
    rank: int | None
    value: float | None
    low: float | None
    high: float | None
    tied_with_first: bool
    reason: str | None = None


@dataclass(frozen=True)
class Standing:
    """The summary of the ranking of a data set, and the recommended model."""

    data: str
    hash: str
    images: int
    places: tuple[Place, ...]
    rank_by: str
    recommended: str | None
    reason: str | None = None

    @property
    def winner(self) -> str | None:
        return next((place.model for place in self.places if place.rank == 1), None)


@dataclass(frozen=True)
class Refresh:
    """One entry of the history. Entries are sorted by `number`, since clocks jump. `steps` are wall-clock seconds."""

    number: int
    started: str
    params: str
    standings: tuple[Standing, ...]
    work: Work = field(default_factory=Work)
    steps: dict[str, float] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def places(self, data: str) -> dict[str, Place]:
        """Return the places on a data set by model."""
        return {place.model: place for standing in self.standings if standing.data == data for place in standing.places}


@dataclass(frozen=True)
class Lead:
    """The difference between the scores of two models, with the 95 % interval of the paired difference."""

    model: str
    over: str
    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class Move:
    model: str
    before: int
    now: int


@dataclass(frozen=True)
class DataChange:
    """What changed on one data set since the last refresh.

    `lead` is of the winner over the winner before it, or over the recommended model. `recommended_before` differs from
    `recommended` only if a lead is beyond noise, if the former is no longer ranked, or by request (`refresh.within_noise`).
    """

    data: str
    verdict: Verdict
    winner: str | None
    winner_before: str | None
    recommended: str | None
    recommended_before: str | None
    lead: Lead | None = None
    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    moved: tuple[Move, ...] = ()
    failed: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()

    @property
    def is_news(self) -> bool:
        """Return whether another model is recommended than before."""
        return self.recommended_before is not None and self.recommended != self.recommended_before
