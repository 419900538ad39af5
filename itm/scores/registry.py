"""Which scores there are, and what each of them says of itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from fnmatch import fnmatchcase
from typing import Any, Literal

import numpy as np

from itm.core.errors import ParamsError, did_you_mean
from itm.scores.model_info import WORDS, Need

Sampling = Literal["held_out", "subset", "constant", "pooled"]


@dataclass(frozen=True)
class Definition:
    """A score and what its users need to know of it.

    `held_out` scores predict the classes of each split's judged rows and are the mean of how well they do; `subset` scores
    compute one value of all rows, and their draws are values of what the splits learn from; `constant` scores do not look at
    the images at all. A `batched` score takes several samples of one shape at once, and the device to compute on. `control` are
    options under which nothing of the score's own idea is left.

    What a score `needs` beside embeddings must be known, or it is undefined.

    A `pooled` score has no function: it is the weighted sum of its `terms`, each stretched over the models ranked together, and
    so the one kind of score that changes when a model is added.
    """

    name: str
    function: Callable[..., Any] | None
    options: Any
    sampling: Sampling
    summary: str
    meaning: str
    paper: str
    cost: str
    lowest: float = -np.inf
    highest: float = np.inf
    needs: tuple[Need, ...] = ()
    batched: bool = False
    control: dict[str, Any] = field(default_factory=dict)
    terms: dict[str, float] = field(default_factory=dict)

    @property
    def value_range(self) -> str:
        """Return the range in words."""
        if np.isinf([self.lowest, self.highest]).all():
            return "any number"
        return f"{self.lowest:g} to {self.highest:g}"


_registry: dict[str, Definition] = {}


def register(definition: Definition) -> Definition:
    """Add a score to the registry; its name must be new."""
    if definition.name in _registry:
        raise ValueError(f"two scores are named {definition.name!r}")
    _registry[definition.name] = definition
    return definition


def names() -> tuple[str, ...]:
    """Return the names of all scores, in alphabetical order."""
    return tuple(sorted(_registry))


def computed(asked: Sequence[str]) -> tuple[str, ...]:
    """Return the scores that `asked` names, wildcards and the terms of pooled ones put in their places, each once.

    Raises
    ------
    ParamsError
        If there is no such score.
    """
    found: dict[str, None] = {}
    for name in asked:
        matching = [one for one in names() if fnmatchcase(one, name)] or [get(name).name]
        for one in matching:
            found |= dict.fromkeys([*get(one).terms, one])
    return tuple(found)


def get(name: str) -> Definition:
    """Return a score's definition.

    Raises
    ------
    ParamsError
        If there is no such score; the message names the nearest ones.
    """
    if name not in _registry:
        raise ParamsError(f"no score {name!r}{did_you_mean(name, _registry)} Known: {', '.join(names())}.")
    return _registry[name]


def check_options(name: str, options: dict[str, Any] | None) -> Any:
    """Return the options record of a score with `options` put in.

    Raises
    ------
    ParamsError
        If an option is unknown to the score, or its value is of the wrong type or out of range.
    """
    definition = get(name)
    known = [field.name for field in fields(definition.options)]
    for option in options or {}:
        if option not in known:
            near = did_you_mean(option, known)
            raise ParamsError(f"score {name!r} has no option {option!r}{near} Known: {', '.join(known) or 'none'}.")
    for option, value in (options or {}).items():
        default = getattr(definition.options, option)
        if type(value) not in ((int, float) if isinstance(default, float) else (type(default),)):
            kind = type(default).__name__
            raise ParamsError(f"score {name!r}: option {option} is {value!r}; a value of type {kind} is needed.")
    given = {option: type(getattr(definition.options, option))(value) for option, value in (options or {}).items()}
    return replace(definition.options, **given)


def listed(definition: Definition) -> str:
    """Say in words what a score needs."""
    needed = ["embeddings"] if definition.sampling in ("held_out", "subset") else []
    needed += [f"the values of {' and '.join(definition.terms)} of all models"] if definition.terms else []
    needed += [WORDS[need][0] for need in definition.needs]
    return " and ".join(needed)
