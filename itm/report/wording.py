"""Sentences about a ranking that the terminal table, the figures and the page share."""

from collections.abc import Iterable
from typing import NamedTuple

from itm.core.confirmations import Confirmed
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


def bold_models(ranking: DataRanking) -> str:
    """Return which models tables print in bold."""
    if not ranked(ranking):
        return ""
    return "The first model and those tied with it are bold." if tied_with_first(ranking) else "The first model is bold."


def tie_groups(ranking: DataRanking) -> list[int]:
    """Return the tie groups in the order of their best models."""
    return list(dict.fromkeys(row.tie_group for row in ranked(ranking) if row.tie_group is not None))


def answer(ranking: DataRanking, named: int = 3, confirmed: Confirmed | None = None) -> Answer:
    """Return which model to fine-tune, and which models are tied with it; at most `named` of them are named.

    What fine-tuning showed of the first models goes before what the scores predict.
    """
    rows = ranked(ranking)
    if not rows:
        reason = (ranking.reason or "every model failed; the reasons are below.").removeprefix(f"{ranking.data}: ")
        return Answer(f"No model could be ranked on {ranking.data}:", "", reason)
    if confirmed and (changed := _after_finetuning(confirmed, rows, named)):
        return changed
    if len(rows) == 1:
        if len(ranking.rows) == 1:
            return Answer(f"For {ranking.data},", rows[0].model, " is the only model, so nothing is compared.")
        failed = pluralize(len(ranking.rows) - 1, "other model")
        return Answer(f"For {ranking.data}, only", rows[0].model, f" could be ranked: {failed} failed, so nothing is compared.")
    if is_below_baseline(ranking):
        rest = " is first, but no model clearly exceeds the baseline, so the order says little. More images may help."
        return Answer(f"For {ranking.data},", rows[0].model, rest)
    lead, pick, tied = f"For {ranking.data}, fine-tune", rows[0].model, [row.model for row in tied_with_first(ranking)]
    if len(tied) == len(rows) - 1 > 1:
        lead = f"All {len(rows)} models are tied. For {ranking.data}, fine-tune the cheapest of them or"
        return Answer(lead, pick, ". More images give a clearer answer.")
    if tied:
        return Answer(lead, pick, f". It is tied with {join_names(tied, named)}.")
    tested = rows[0].tie_group is not None  # without tie groups no difference was tested
    return Answer(lead, pick, ". It is clearly better than every other model." if tested else ".")


def _after_finetuning(confirmed: Confirmed, rows: list[RankedModel], named: int) -> Answer | None:
    """Return the answer of fine-tuning, or None if it confirms the first model or compared nothing."""
    first, lead = rows[0].model, f"For {confirmed.data}, fine-tune"
    if confirmed.pick is not None or confirmed.leader is None:
        if confirmed.pick in (None, first):
            return None
        place = next(row.rank for row in rows if row.model == confirmed.pick)
        return Answer(lead, confirmed.pick or "", f", number {place} of the ranking.")
    others = (*confirmed.tied, *([confirmed.test_favours] if confirmed.test_favours else []))
    undecided = list(dict.fromkeys([confirmed.leader, *others]))
    pick = first if first in undecided else undecided[0]
    rest = join_names([name for name in undecided if name != pick], named)
    return Answer(lead, pick, f" or {rest}. Fine-tuning did not decide between them.")


def below_baseline(ranking: DataRanking) -> tuple[int, int]:
    """Return how many models do not clearly exceed the baseline, and how many could; (0, 0) if no score compares with it."""
    if ranking.score_metric != ranking.metric.name:
        return 0, 0
    found = [row.estimate for row in ranked(ranking) if row.estimate and "baseline" in row.estimate.details]
    return sum(estimate.low <= estimate.details["baseline"] for estimate in found), len(found)


def is_below_baseline(ranking: DataRanking) -> bool:
    """Return whether no model clearly exceeds the baseline."""
    below, compared = below_baseline(ranking)
    return 0 < compared == below


def cheapest(ranking: DataRanking) -> RankedModel | None:
    """Return the model with the fewest GMACs among the first and those tied with it, or None if no GMACs are known."""
    costs = [
        (row.facts.gmacs, row) for row in (*ranked(ranking)[:1], *tied_with_first(ranking)) if row.facts and row.facts.gmacs
    ]
    return min(costs, key=lambda pair: pair[0])[1] if costs else None


def cheapest_tied(ranking: DataRanking) -> str:
    """Return the cheapest of the models that are tied with the first, or nothing if the first is the cheapest."""
    found = cheapest(ranking)
    first = ranked(ranking)[0].facts if found else None
    if found is None or found.facts is None or first is None or not first.gmacs or found.facts.gmacs == first.gmacs:
        return ""
    saved = f"{compact(found.facts.gmacs)} GMACs per image instead of {compact(first.gmacs)}"
    return f"The cheapest of these models is {found.model}, with {saved}."


def describe_data(ranking: DataRanking, scored: str = "") -> str:
    """Return the number of images, targets, groups and rejected images of a data set, and the splits that are scored."""
    if not ranking.images:
        return "not ranked"
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
