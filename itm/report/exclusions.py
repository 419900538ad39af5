"""What the filters left out and what the race dropped, in words."""

from collections.abc import Sequence
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
RACE = "race"


@dataclass(frozen=True)
class ExclusionGroup:
    """The models that one limit excluded, or the race on one data set."""

    title: str
    models: tuple[Exclusion, ...]


def group_exclusions(ranking: Ranking) -> list[ExclusionGroup]:
    """Return the excluded models by limit, the limits in the order in which they are looked at."""
    groups = ((title, tuple(one for one in ranking.excluded if one.limit == limit)) for limit, title in TITLES.items())
    return [ExclusionGroup(title, models) for title, models in groups if models]


def group_dropped(ranking: Ranking) -> list[ExclusionGroup]:
    """Return the models that the race dropped, by data set."""
    dropped = [one for one in ranking.excluded if one.limit == RACE]
    names = dict.fromkeys(one.data for one in dropped)
    return [ExclusionGroup(f"on {name}", tuple(one for one in dropped if one.data == name)) for name in names]


def describe_exclusions(ranking: Ranking) -> str:
    """Return how many models were excluded by what, with a few names, or nothing if none was."""
    parts = (
        ("excluded before the run", group_exclusions(ranking)),
        ("dropped by the race on images", group_dropped(ranking)),
    )
    return " ".join(_sentence(what, groups) for what, groups in parts if groups)


def _sentence(what: str, groups: Sequence[ExclusionGroup]) -> str:
    count = len({one.model for group in groups for one in group.models})
    named = ((group, [one.model for one in group.models]) for group in groups)
    parts = (f"{len(models)} {group.title} ({join_names(models, FEW)})" for group, models in named)
    return f"{pluralize(count, 'model')} {what}: {'; '.join(parts)}."
