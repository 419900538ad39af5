"""Sentences about a ranking that the terminal table, the figures and the page share."""

from collections.abc import Iterable
from typing import NamedTuple

from itm.core.rankings import DataRanking, RankedModel
from itm.core.text import compact, join_names, pluralize
from itm.kinds import get_kind


class Answer(NamedTuple):
    """The answer for one data set: the text before the recommended model, the model, and the text after it."""

    lead: str
    pick: str
    rest: str

    def __str__(self) -> str:
        return " ".join(part for part in (self.lead, self.pick + self.rest) if part)


class FailureGroup(NamedTuple):
    """The models that failed at the same step for the same reason."""

    models: tuple[str, ...]
    step: str
    reason: str


def in_order(rows: Iterable[RankedModel]) -> list[RankedModel]:
    """Return ranked rows by rank, then failed rows in the order given."""
    return sorted(rows, key=lambda row: (row.rank is None, row.rank or 0))


def ranked(ranking: DataRanking) -> list[RankedModel]:
    """Return the rows that have a rank, best first."""
    return [row for row in in_order(ranking.rows) if row.rank is not None]


def tied_with_first(ranking: DataRanking) -> list[RankedModel]:
    """Return the models that are tied with the first, without the first."""
    return [row for row in ranked(ranking)[1:] if row.tied_with_first]


def tie_groups(ranking: DataRanking) -> list[int]:
    """Return the tie groups in the order of their best models."""
    return list(dict.fromkeys(row.tie_group for row in ranked(ranking) if row.tie_group is not None))


def answer(ranking: DataRanking, named: int = 3) -> Answer:
    """Return which model to fine-tune, and which models are tied with it; at most `named` of them are named."""
    rows = ranked(ranking)
    if not rows:
        reason = (ranking.reason or "every model failed; the reasons are below.").removeprefix(f"{ranking.data}: ")
        return Answer(f"No model could be ranked on {ranking.data}:", "", reason)
    lead, pick, tied = f"For {ranking.data}, fine-tune", rows[0].model, [row.model for row in tied_with_first(ranking)]
    if len(tied) == len(rows) - 1 > 1:
        lead = f"All {len(rows)} models are tied. For {ranking.data}, fine-tune the cheapest of them or"
        return Answer(lead, pick, ". More images give a clearer answer.")
    if tied:
        return Answer(lead, pick, f". It is tied with {join_names(tied, named)}.")
    if len(rows) == 1:
        return Answer(lead, pick, ", the only model that could be ranked.")
    tested = rows[0].tie_group is not None  # without tie groups no difference was tested
    return Answer(lead, pick, ". It is clearly better than every other model." if tested else ".")


def cheapest_tied(ranking: DataRanking) -> str:
    """Return the cheapest of the models that are tied with the first, or nothing if the first is the cheapest."""
    rows = [*ranked(ranking)[:1], *tied_with_first(ranking)]
    costs = [(row.facts.gmacs, row) for row in rows if row.facts and row.facts.gmacs]
    if not costs or costs[0][1] is not rows[0]:
        return ""
    (first, _), (least, cheapest) = costs[0], min(costs, key=lambda pair: pair[0])
    if least == first:
        return ""
    saved = f"{compact(least)} GMACs per image instead of {compact(first)}"
    return f"The cheapest of these models is {cheapest.model}, with {saved}."


def describe_data(ranking: DataRanking, scored: str = "") -> str:
    """Return the number of images, targets, groups and rejected images of a data set, and the splits that are scored."""
    if not ranking.images:
        return "no images could be read"
    parts = [pluralize(ranking.images, "image"), get_kind(ranking.target.kind).describe(ranking.target)]
    if ranking.groups:
        parts.append(pluralize(ranking.groups, "group"))
    if scored:
        parts.append(f"scored on the splits {scored}" if " " in scored else f"scored on the split {scored}")
    if ranking.rejected:
        reasons = ", ".join(f"{images:,} {reason}" for reason, images in sorted(ranking.rejected.items()))
        parts.append(f"{sum(ranking.rejected.values()):,} rejected ({reasons})")
    return ", ".join(parts)


def group_failures(ranking: DataRanking) -> list[FailureGroup]:
    """Return the failures of all models, grouped by step and reason, without the reason of the data set itself."""
    models: dict[tuple[str, str], dict[str, None]] = {}
    for row in in_order(ranking.rows):
        for failure in row.failures:
            if failure.reason != ranking.reason:
                models.setdefault((failure.step, failure.reason), {})[row.model] = None
    return [FailureGroup(tuple(names), step, reason) for (step, reason), names in models.items()]


def status(row: RankedModel) -> str:
    """Return "partial" for a ranked model that lacks another score, otherwise its status."""
    return "partial" if row.status == "ranked" and row.failures else row.status
