"""What the filters left out, in words."""

from dataclasses import dataclass

from itm.core.rankings import Ranking
from itm.core.text import join_names, pluralize
from itm.core.types import Exclusion

FEW = 3  # models that the terminal names per limit
TITLES = {
    "licences": "by licence",
    "max_params": "by number of parameters",
    "max_gmacs": "by GMACs",
    "max_latency": "by latency",
    "max_memory": "by memory of fine-tuning",
}


@dataclass(frozen=True)
class ExclusionGroup:
    """The models that one limit excluded."""

    title: str
    models: tuple[Exclusion, ...]


def group_exclusions(ranking: Ranking) -> list[ExclusionGroup]:
    """Return the excluded models by limit, the limits in the order in which they are looked at."""
    groups = ((title, tuple(one for one in ranking.excluded if one.limit == limit)) for limit, title in TITLES.items())
    return [ExclusionGroup(title, models) for title, models in groups if models]


def describe_exclusions(ranking: Ranking) -> str:
    """Return how many models were excluded by what, with a few names, or nothing if none was."""
    if not ranking.excluded:
        return ""
    parts = (
        f"{len(group.models)} {group.title} ({join_names([one.model for one in group.models], FEW)})"
        for group in group_exclusions(ranking)
    )
    return f"{pluralize(len(ranking.excluded), 'model')} excluded before the run: {'; '.join(parts)}."
