"""What a score is, which there are, and the one door through which they are computed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import numpy as np

from itm.errors import ItmError, ParamsError, ScoreError, did_you_mean
from itm.scores._accuracy import Metric, accuracy, majority_rate
from itm.scores._order import Sample, canonical
from itm.scores._splits import Split, Splitting

Sampling = Literal["held_out", "subset"]
CROSS_FITTED = Splitting()
Predictions = list[np.ndarray]  # a split's predicted classes, one a judged row


@dataclass(frozen=True)
class Definition:
    """A score and what its users need to know of it.

    `held_out` scores predict the classes of each split's judged rows and are the mean of how well they do; `subset` scores
    compute one value of all rows, and their draws are values of what the splits learn from. A `batched` score takes several
    samples of one shape at once, and the device to compute on. `control` are options under which nothing of the score's own
    idea is left.
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
    batched: bool = False
    control: dict[str, Any] = field(default_factory=dict)

    @property
    def value_range(self) -> str:
        """Return the range in words."""
        if np.isinf([self.lowest, self.highest]).all():
            return "any number"
        return f"{self.lowest:g} to {self.highest:g}"


@dataclass(frozen=True)
class Evaluation:
    """The value of a score, the draws its interval is made of, and what helps to judge it.

    A `held_out` score's details are its `accuracy`, `balanced_accuracy` and `majority_rate`, which is what always naming the
    commonest class would reach; one with a control has the `control`'s value too.
    """

    value: float
    draws: tuple[float, ...]
    details: dict[str, float] = field(default_factory=dict)


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
    given = {option: type(getattr(definition.options, option))(value) for option, value in (options or {}).items()}
    return replace(definition.options, **given)


def evaluate(
    name: str,
    features: np.ndarray,
    labels: np.ndarray,
    *,
    options: dict[str, Any] | None = None,
    ids: Sequence[str] | None = None,
    splitting: Splitting = CROSS_FITTED,
    device: str = "cpu",
) -> Evaluation:
    """Compute a score of embeddings `features` [n, d] with class numbers `labels` [n].

    Parameters
    ----------
    features
        May be memory-mapped; scores that can work in blocks never hold them whole.
    options
        Values that differ from the score's defaults.
    ids
        Names of the rows. Rows are judged in the order of their ids, so that models are compared on the same splits; without
        ids the rows' own content decides.
    splitting
        Which rows are learnt from and which are judged.
    device
        Where scores that can use an accelerator compute.

    Raises
    ------
    ScoreError
        If the score is undefined here: shapes do not match, values are not finite, fewer than two classes or five rows.
    ParamsError
        If the score or an option is unknown.
    """
    (result,) = evaluate_together(name, [features], labels, options=options, ids=ids, splitting=splitting, device=device)
    if isinstance(result, ItmError):
        raise result
    return result


def evaluate_together(
    name: str,
    tables: Sequence[np.ndarray],
    labels: np.ndarray,
    *,
    options: dict[str, Any] | None = None,
    ids: Sequence[str] | None = None,
    splitting: Splitting = CROSS_FITTED,
    device: str = "cpu",
) -> list[Evaluation | ScoreError]:
    """Compute a score of several models' embeddings of the same images, those of equal width in one program where it can.

    A model whose score is undefined has its error as result, and the others are not touched by it.

    Raises
    ------
    ParamsError
        If the score or an option is unknown.
    """
    definition = get(name)
    chosen = check_options(name, options)
    results: dict[int, Evaluation | ScoreError] = {}
    samples: dict[int, Sample] = {}
    for number, features in enumerate(tables):
        try:
            samples[number] = canonical(features, labels, ids)
        except ScoreError as error:
            results[number] = error
    widths = {number: sample.table.shape[1] for number, sample in samples.items()}
    for width in dict.fromkeys(widths.values()):
        together = [number for number in samples if widths[number] == width]
        groups = [together] if definition.batched else [[number] for number in together]
        for group in groups:
            found = _evaluated(definition, [samples[number] for number in group], chosen, splitting, device)
            results |= dict(zip(group, found, strict=True))
    return [results[number] for number in range(len(tables))]


def _evaluated(
    definition: Definition, samples: list[Sample], options: Any, splitting: Splitting, device: str
) -> list[Evaluation | ScoreError]:
    try:
        splits = [splitting.of(sample.labels) for sample in samples]
        with np.errstate(all="ignore"):
            if definition.sampling == "subset":
                results: list[Evaluation | ScoreError] = [_of_subsets(definition, samples[0], splits[0], options)]
            else:
                results = _held_out(definition, samples, splits, options, device)
    except ScoreError as error:
        return [error] * len(samples)
    return [
        result
        if isinstance(result, ScoreError) or np.isfinite([result.value, *result.draws]).all()
        else ScoreError(
            f"{definition.name} came out as {result.value} (draws {result.draws}); report the features that do this."
        )
        for result in results
    ]


def _of_subsets(definition: Definition, sample: Sample, splits: list[Split], options: Any) -> Evaluation:
    value = float(definition.function(sample, options))
    return Evaluation(value, tuple(float(definition.function(sample.take(split.learn), options)) for split in splits))


def _held_out(
    definition: Definition, samples: list[Sample], splits: list[list[Split]], options: Any, device: str
) -> list[Evaluation | ScoreError]:
    found = _predictions(definition, samples, splits, options, device)
    control = replace(options, **definition.control)
    controls = _predictions(definition, samples, splits, control, device) if control != options else found
    return [
        predicted
        if isinstance(predicted, ScoreError)
        else _judged(sample, parts, predicted, unmoved if definition.control else None, options.metric)
        for sample, parts, predicted, unmoved in zip(samples, splits, found, controls, strict=True)
    ]


def _predictions(
    definition: Definition, samples: list[Sample], splits: list[list[Split]], options: Any, device: str
) -> list[Predictions | ScoreError]:
    if definition.batched:
        return list(definition.function(samples, splits, options, device))
    return [definition.function(sample, parts, options) for sample, parts in zip(samples, splits, strict=True)]


def _judged(
    sample: Sample, splits: list[Split], predicted: Predictions, control: Predictions | ScoreError | None, metric: Metric
) -> Evaluation:
    """Compare predicted classes with the true ones, split by split."""
    actual = [sample.labels[split.judge] for split in splits]

    def mean(of: Predictions, by: Metric) -> float:
        return float(np.mean([accuracy(one, true, by) for one, true in zip(of, actual, strict=True)]))

    majority = [majority_rate(sample.labels[split.learn], true) for split, true in zip(splits, actual, strict=True)]
    details = {
        "accuracy": mean(predicted, "accuracy"),
        "balanced_accuracy": mean(predicted, "balanced_accuracy"),
        "majority_rate": float(np.mean(majority)),
    }
    if control is not None and not isinstance(control, ScoreError):
        details["control"] = mean(control, metric)
    draws = tuple(accuracy(one, true, metric) for one, true in zip(predicted, actual, strict=True))
    return Evaluation(float(np.mean(draws)), draws, details)


__all__ = [
    "Definition",
    "Evaluation",
    "Sample",
    "Split",
    "Splitting",
    "check_options",
    "evaluate",
    "evaluate_together",
    "get",
    "names",
    "register",
]
