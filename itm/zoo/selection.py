"""Filters and order of listed models."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from itm.core.errors import ParamsError, did_you_mean
from itm.core.quantities import parse_count
from itm.zoo.facts_table import known_models
from itm.zoo.filters import Bounds
from itm.zoo.licences import licence_filter
from itm.zoo.listing import Description

SORT_KEYS: dict[str, Callable[[Description], Any]] = {
    "model": lambda _: None,  # the order of the list
    "parameters": lambda model: model.facts.parameters,
    "gmacs": lambda model: model.facts.gmacs,
    "pixels": lambda model: _pixels(model.facts.input_size),
    "width": lambda model: model.facts.width,
    "top1": lambda model: None if model.top1 is None else -model.top1,  # best first
    "licence": lambda model: model.licence,
    "weights": lambda model: model.weights,
    "pretraining": lambda model: model.facts.pretraining or None,
    "family": lambda model: model.facts.family,
}


@dataclass(frozen=True)
class Filters(Bounds):
    """Limits and the family of listed models."""

    family: str | None = None

    def passes(self, model: Description) -> bool:
        """Return whether a model passes all filters."""
        excluded = self.by_licence(model.name, model.licence) or self.by_size(model.name, model.facts)
        return not excluded and (self.family is None or is_of_family(model.name, model.facts.family, self.family))


def parse_filters(max_params: str | None, max_gmacs: float | None, licence: str | None, family: str | None) -> Filters:
    """Return the filters of the command line.

    Raises
    ------
    ParamsError
        If a number, a licence or a family is unknown.
    """
    stated = {model.licence for model in known_models().values() if model.licence} if licence else set()
    return Filters(
        _count(max_params) if max_params else None,
        max_gmacs,
        licence_filter(licence, stated) if licence else None,
        family=_checked_family(family) if family else None,
    )


def _count(text: str) -> int:
    try:
        return parse_count(text)
    except ValueError as error:
        raise ParamsError(f"--max-params {text}: {error}.") from error


def is_of_family(name: str, family: str, wanted: str) -> bool:
    """Return whether a model belongs to a family: the file of timm that defines it, or the first word of its name.

    >>> is_of_family("vit_tiny_patch16_224", "vision_transformer", "vit"), is_of_family("vitamin_small_224", "vitamin", "vit")
    (True, False)
    """
    return family.lower() == wanted or bool(re.match(rf"{re.escape(wanted)}(?![a-z])", name.lower()))


def check_sort(sort: str) -> None:
    """Raise a `ParamsError` if `sort` is not a column."""
    if sort not in SORT_KEYS:
        raise ParamsError(f"--sort {sort} is not a column{did_you_mean(sort, SORT_KEYS)} Columns: {', '.join(SORT_KEYS)}.")


def ordered(models: Iterable[Description], sort: str) -> list[Description]:
    """Return models by a column: names and numbers ascending, accuracies descending, and unknown values last."""
    check_sort(sort)
    key = SORT_KEYS[sort]
    return sorted(models, key=lambda model: ((value := key(model)) is None, 0 if value is None else value))


def _checked_family(family: str) -> str:
    wanted = family.strip().lower()
    models = known_models().values()
    if not any(is_of_family(model.name, model.facts.family, wanted) for model in models):
        near = did_you_mean(wanted, {model.facts.family for model in models})
        raise ParamsError(f"--family {family} is unknown{near} The last column of `itm models '*'` shows the families.")
    return wanted


def _pixels(size: int | str) -> int:
    return max(int(side) for side in str(size).split(" x "))
