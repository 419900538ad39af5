"""Shows a ranking as a terminal table, as figures and as one page; here are the words and numbers that all three share."""

from collections.abc import Iterable
from typing import NamedTuple

from itm.core.rankings import DataRanking, RankedModel
from itm.core.text import compact, counted, listed


class Answer(NamedTuple):
    """One sentence that answers the question for one data set: what leads to the pick, the pick, and what follows it."""

    lead: str
    pick: str
    rest: str

    def __str__(self) -> str:
        return " ".join(part for part in (self.lead, self.pick + self.rest) if part)


class Shortfall(NamedTuple):
    """The models that gave no value at one step for one and the same reason."""

    models: tuple[str, ...]
    step: str
    reason: str


def in_order(rows: Iterable[RankedModel]) -> list[RankedModel]:
    """Return ranked rows by rank, and the failed ones last in the order given."""
    return sorted(rows, key=lambda row: (row.rank is None, row.rank or 0))


def ranked(ranking: DataRanking) -> list[RankedModel]:
    """Return the rows that have a rank, best first."""
    return [row for row in in_order(ranking.rows) if row.rank is not None]


def tied_with_first(ranking: DataRanking) -> list[RankedModel]:
    """Return the models that cannot be told apart from the first, without the first."""
    rows = ranked(ranking)
    return [row for row in rows[1:] if row.tied_with_first]


def tie_groups(ranking: DataRanking) -> list[int]:
    """Return the tie groups in the order of their best models."""
    return list(dict.fromkeys(row.tie_group for row in ranked(ranking) if row.tie_group is not None))


def answer(ranking: DataRanking, named: int = 3) -> Answer:
    """Say which model to fine-tune and, naming at most `named` of them, which others would do as well."""
    rows = ranked(ranking)
    if not rows:
        reason = (ranking.reason or "every model failed, for the reasons given below.").removeprefix(f"{ranking.data}: ")
        return Answer(f"No model could be ranked on {ranking.data}:", "", reason)
    lead, pick, tied = f"For {ranking.data}, fine-tune", rows[0].model, [row.model for row in tied_with_first(ranking)]
    if len(tied) == len(rows) - 1 > 1:
        lead = f"These images cannot tell the {len(rows)} models apart; for {ranking.data}, take the cheapest or"
        return Answer(lead, pick, ", and give more images for a clearer answer.")
    if tied:
        return Answer(lead, pick, f"; {listed(tied, named)} cannot be told apart from it.")
    if len(rows) == 1:
        return Answer(lead, pick, ", the only model that could be ranked.")
    told_apart = rows[0].tie_group is not None  # without tie groups nothing was tested, and nothing is claimed
    return Answer(lead, pick, "; it is told apart from every other model." if told_apart else ".")


def thrift(ranking: DataRanking) -> str:
    """Name the cheapest model among those as good as the first, where that is not the first itself; otherwise nothing."""
    rows = [*ranked(ranking)[:1], *tied_with_first(ranking)]
    costs = [(row.facts.gmacs, row) for row in rows if row.facts and row.facts.gmacs]
    if not costs or costs[0][1] is not rows[0]:
        return ""
    (first, _), (least, cheapest) = costs[0], min(costs, key=lambda pair: pair[0])
    if least == first:
        return ""
    return f"The cheapest of these is {cheapest.model}: {compact(least)} GMACs per image, and {compact(first)} for the first."


def contents(ranking: DataRanking, scored: str = "") -> str:
    """Say how many images and classes a data set has, which splits are scored, and how many images were set aside and why."""
    if not ranking.images:
        return "no images could be read"
    parts = [counted(ranking.images, "image"), counted(len(ranking.classes), "class")]
    if scored:
        parts.append(f"scored on the splits {scored}" if " " in scored else f"scored on the split {scored}")
    if ranking.set_aside:
        reasons = ", ".join(f"{images:,} {reason}" for reason, images in sorted(ranking.set_aside.items()))
        parts.append(f"{sum(ranking.set_aside.values()):,} set aside ({reasons})")
    return ", ".join(parts)


def shortfalls(ranking: DataRanking) -> list[Shortfall]:
    """Return every failure below a data set, those with the same step and reason together; its own reason is not repeated."""
    models: dict[tuple[str, str], dict[str, None]] = {}
    for row in in_order(ranking.rows):
        for failure in row.failures:
            if failure.reason != ranking.reason:
                models.setdefault((failure.step, failure.reason), {})[row.model] = None
    return [Shortfall(tuple(names), step, reason) for (step, reason), names in models.items()]


def status(row: RankedModel) -> str:
    """Say in one word what became of a model; a partial one has its rank, and lacks some other score."""
    return "partial" if row.status == "ranked" and row.failures else row.status
