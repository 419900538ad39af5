"""All scores there are: those of this package, and those that other packages add by the entry point group `itm.scores`."""

import importlib
import logging
import pkgutil
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from importlib.metadata import entry_points
from typing import Any, TypeVar

from itm.core.errors import ParamsError, did_you_mean
from itm.core.secrets import error_message
from itm.core.yaml_records import parse
from itm.scores.base import AnyScore, CombinedScore, Score

log = logging.getLogger(__name__)

LIBRARY, ITM = "itm.scores.library", "itm.scores.itm.score"
GROUP = "itm.scores"
S = TypeVar("S", bound=Score[Any])

_registry: dict[str, AnyScore] = {}


def register(score: type[S]) -> type[S]:
    """Add a score class to the registry, as a decorator; a second score of one name is a ValueError."""
    if score.info.name in _registry:
        raise ValueError(f"two scores are named {score.info.name!r}")
    _registry[score.info.name] = score
    return score


@cache
def _discover() -> None:
    """Import every module that registers scores; a plug-in that cannot be loaded is logged as a warning and left out."""
    importlib.import_module(ITM)
    for module in pkgutil.iter_modules(importlib.import_module(LIBRARY).__path__):
        importlib.import_module(f"{LIBRARY}.{module.name}")
    for entry in entry_points(group=GROUP):
        try:
            entry.load()
        except Exception as error:  # whatever another package raises must not break this one
            log.warning("scores of the plug-in %r (%s) are not available: %s", entry.name, entry.value, error_message(error))


def names() -> tuple[str, ...]:
    """Return the names of all scores, in alphabetical order."""
    _discover()
    return tuple(sorted(_registry))


def get(name: str) -> AnyScore:
    """Return the class of a score; a ParamsError names the nearest ones if there is none."""
    _discover()
    if name not in _registry:
        raise ParamsError(f"no score {name!r}{did_you_mean(name, _registry)} Known: {', '.join(names())}.")
    return _registry[name]


def make(name: str, options: Mapping[str, Any] | None = None) -> Score[Any]:
    """Return a score with options that differ from its defaults."""
    score = get(name)
    return score(parse(dict(options or {}), score.options_type, f"score {name!r} options"))


def expand(patterns: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the scores to compute, each once: wildcards are replaced, terms come before their combined score."""
    found: dict[str, None] = {}
    for pattern in patterns:
        for name in [one for one in names() if fnmatchcase(one, pattern)] or [get(pattern).info.name]:
            found |= dict.fromkeys([*weights_of(name), name])
    return tuple(found)


def weights_of(name: str) -> Mapping[str, float]:
    """Return the weights of the terms of a combined score; a score of another kind has none."""
    score = get(name)
    return score.weights if issubclass(score, CombinedScore) else {}
