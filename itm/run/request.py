"""What the models and scores of a request change in the parameters, for commands and functions alike."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from itm.core.errors import ParamsError
from itm.data.sources.parse import check_models_can_be_chosen, parse_source
from itm.zoo.choice import parse_zoo

WILDCARD = frozenset("*?[")


def chosen_models(
    sources: Sequence[str],
    zoo: str | Path | None,
    models: Sequence[str] | None,
    variants: Sequence[str] | None,
    names: tuple[str, str],
) -> dict[str, Any]:
    """Return changes of the section `zoo`. None keeps a value. `names` are those of `zoo` and `models` in error messages.

    `models` names models of a zoo file, and else of timm. Variants can be separated by commas.

    Raises
    ------
    ParamsError
        If `zoo` is wrong or names models as `models` does, or models are chosen for embeddings.
    DataError
        If the text of a source is wrong.
    """
    for source in sources:
        parse_source(source)  # an error in it is found before anything heavy is imported
        if zoo or models or variants:
            check_models_can_be_chosen(source)
    parts = tuple(part.strip() for text in variants or () for part in str(text).split(","))
    changes: dict[str, Any] = {"variants": parts or None}
    if not zoo:
        return changes | {"models": tuple(models) if models else None}
    choice = parse_zoo(zoo)
    if choice.file is None and models:
        raise ParamsError(f"{names[0]} {zoo} names models, and so does {names[1]}; name all of them by {names[1]}.")
    return changes | {"file": choice.file, "models": tuple(models or choice.models)}


def first_of(patterns: Sequence[str]) -> str | None:
    """Return the score that decides the order if no other is named: the first one. A wildcard of several scores is `auto`.

    >>> first_of(["knn", "itm"]), first_of(["kn*"]), first_of(["*"]), first_of([])
    ('knn', 'knn', 'auto', None)
    """
    if not patterns or not WILDCARD.intersection(patterns[0]):
        return patterns[0] if patterns else None
    from itm.scores import names  # imports scipy

    matches = [name for name in names() if fnmatchcase(name, patterns[0])]
    return matches[0] if len(matches) == 1 else "auto" if matches else patterns[0]
