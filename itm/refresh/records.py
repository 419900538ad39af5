"""The frozen records of a refresh: small enough that hundreds of them can be read for a plot."""

from dataclasses import dataclass, field
from typing import Literal

from itm.run.work import Work

Verdict = Literal["first ranking", "same winner", "within noise", "winner changed", "nothing ranked"]


@dataclass(frozen=True, slots=True)  # a month of nights holds hundreds of thousands of them
class Place:
    """Where one model stood on one data set; a failed model has no rank but a reason."""

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
    """The ranking of one data set in short, and the model that users are told to take."""

    data: str
    hash: str
    images: int
    places: tuple[Place, ...]
    recommended: str | None
    reason: str | None = None

    @property
    def winner(self) -> str | None:
        """Return the model that is ranked first."""
        return next((place.model for place in self.places if place.rank == 1), None)


@dataclass(frozen=True)
class Refresh:
    """One entry of the history. `number` orders it, since clocks jump; `steps` are seconds by the wall."""

    number: int
    started: str
    rank_by: str
    params: str
    standings: tuple[Standing, ...]
    work: Work = field(default_factory=Work)
    steps: dict[str, float] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lead:
    """By how much the score of one model is above that of another, with the 95 % interval of the paired difference."""

    model: str
    over: str
    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class Move:
    """A model whose rank changed."""

    model: str
    before: int
    now: int


@dataclass(frozen=True)
class DataChange:
    """What changed on one data set since the last refresh, and why that is or is no news.

    `lead` is of the winner over the winner before it, or over what was recommended; `recommended_before` differs from
    `recommended` only where a lead is beyond noise, where the former is no longer ranked, or where it was asked for.
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
        """Say whether someone should be told: another model is recommended than before."""
        return self.recommended_before is not None and self.recommended != self.recommended_before
