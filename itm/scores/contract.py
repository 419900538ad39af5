"""What a score is, which there are, and the one door through which they are computed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np

from itm.errors import ParamsError, ScoreError, did_you_mean
from itm.scores._order import Sample, canonical

Sampling = Literal["held_out", "subset"]
HELD_OUT_SHARE = 0.2  # method.md, step 2: learn from 80 % of the rows, judge on 20 %; a subset leaves the same share out


@dataclass(frozen=True)
class Split:
    """Rows a score may learn from and rows it is judged on."""

    learn: np.ndarray
    judge: np.ndarray
    seed: int


@dataclass(frozen=True)
class Definition:
    """A score and what its users need to know of it.

    `held_out` scores compute one value a split and average them; `subset` scores compute one value of all rows, and their draws
    are values of random subsets, from which the interval is made.
    """

    name: str
    function: Callable[..., Any]
    options: Any
    sampling: Sampling
    summary: str
    meaning: str
    paper: str
    lowest: float = -np.inf
    highest: float = np.inf

    @property
    def value_range(self) -> str:
        """Return the range in words."""
        if np.isinf([self.lowest, self.highest]).all():
            return "any number"
        return f"{self.lowest:g} to {self.highest:g}"


@dataclass(frozen=True)
class Evaluation:
    """The value of a score and the draws its interval is made of."""

    value: float
    draws: tuple[float, ...]


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
    return replace(definition.options, **(options or {}))


def evaluate(
    name: str,
    features: np.ndarray,
    labels: np.ndarray,
    *,
    options: dict[str, Any] | None = None,
    ids: Sequence[str] | None = None,
    draws: int = 5,
    seed: int = 12357,
) -> Evaluation:
    """Compute a score of embeddings `features` [n, d] with class numbers `labels` [n].

    Parameters
    ----------
    options
        Values that differ from the score's defaults.
    ids
        Names of the rows. Rows are judged in the order of their ids, so that models are compared on the same splits; without
        ids the rows' own content decides.
    draws
        How many splits or subsets.
    seed
        The first draw uses it as it is, the others seeds drawn from it.

    Raises
    ------
    ScoreError
        If the score is undefined here: shapes do not match, values are not finite, fewer than two classes or five rows.
    ParamsError
        If the score or an option is unknown.
    """
    definition = get(name)
    chosen = check_options(name, options)
    sample = canonical(features, labels, ids)
    splits = [_split(len(sample.labels), number) for number in _seeds(seed, draws)]
    with np.errstate(all="ignore"):
        if definition.sampling == "held_out":
            values = [float(v) for v in definition.function(sample, splits, chosen)]
            value = float(np.mean(values))
        else:
            value = float(definition.function(sample, chosen))
            values = [float(definition.function(sample.take(split.learn), chosen)) for split in splits]
    if not np.isfinite([value, *values]).all():
        raise ScoreError(f"{name} came out as {value} (draws {values}); please report the features that do this.")
    return Evaluation(value, tuple(values))


def _seeds(seed: int, count: int) -> list[int]:
    """Return `seed` itself and numbers drawn from it, so that neighbouring seeds share no draw."""
    return [seed, *(int(number) for number in np.random.SeedSequence(seed).generate_state(count - 1))]


def _split(rows: int, seed: int) -> Split:
    order = np.random.default_rng(seed).permutation(rows)
    judged = max(1, round(HELD_OUT_SHARE * rows))
    return Split(learn=np.sort(order[judged:]), judge=np.sort(order[:judged]), seed=seed)


__all__ = ["Definition", "Evaluation", "Sample", "Split", "check_options", "evaluate", "get", "names", "register"]
