"""What a score is, and the one door through which all of them are computed."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from itm.core.errors import ItmError, ParamsError, ScoreError
from itm.scores.accuracy import Metric, accuracy, majority_rate
from itm.scores.model_info import Source
from itm.scores.registry import Definition, Sampling, check_options, computed, get, listed, names, register
from itm.scores.sample import Sample, canonical
from itm.scores.splits import Split, Splitting

CROSS_FITTED = Splitting()
Predictions = list[np.ndarray]  # a split's predicted classes, one a judged row


@dataclass(frozen=True)
class Evaluation:
    """The value of a score, the draws its interval is made of, and what helps to judge it.

    A `held_out` score's details are its `accuracy`, `balanced_accuracy` and `majority_rate`, which is what always naming the
    commonest class would reach; one with a control has the `control`'s value too.
    """

    value: float
    draws: tuple[float, ...]
    details: dict[str, float] = field(default_factory=dict)


def evaluate(
    name: str,
    features: np.ndarray,
    labels: np.ndarray,
    *,
    options: dict[str, Any] | None = None,
    ids: Sequence[str] | None = None,
    source: Source | None = None,
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
    source
        What is known of the model beside its embeddings; a score's definition says what of it it needs.
    splitting
        Which rows are learnt from and which are judged.
    device
        Where scores that can use an accelerator compute.

    Raises
    ------
    ScoreError
        If the score is undefined here: shapes do not match, values are not finite, fewer than two classes or five rows, or
        something it needs of the model is not known.
    ParamsError
        If the score or an option is unknown, or the score is made of several models' values.
    """
    sample = canonical(features, labels, ids, source)
    (result,) = evaluate_together(name, [sample], options=options, splitting=splitting, device=device)
    if isinstance(result, ItmError):
        raise result
    return result


def evaluate_together(
    name: str,
    samples: Sequence[Sample],
    *,
    options: dict[str, Any] | None = None,
    splitting: Splitting = CROSS_FITTED,
    device: str = "cpu",
) -> list[Evaluation | ScoreError]:
    """Compute a score of several models on the same images, those of equal width in one program where it can.

    A model whose score is undefined has its error as result, and the others are not touched by it. Scores of one and the same
    sample share what they compute of its rows.

    Raises
    ------
    ParamsError
        If the score or an option is unknown, or the score is made of several models' values.
    """
    definition = get(name)
    if definition.sampling == "pooled":
        raise ParamsError(
            f"score {name!r} is made of several models' values; rank them, or ask for {' or '.join(definition.terms)}."
        )
    chosen = check_options(name, options)
    results: dict[int, Evaluation | ScoreError] = {}
    widths = {number: sample.table.shape[1] for number, sample in enumerate(samples)}
    for width in dict.fromkeys(widths.values()):
        together = [number for number in widths if widths[number] == width]
        groups = [together] if definition.batched else [[number] for number in together]
        for group in groups:
            found = _evaluated(definition, [samples[number] for number in group], chosen, splitting, device)
            results |= dict(zip(group, found, strict=True))
    return [results[number] for number in range(len(samples))]


def _evaluated(
    definition: Definition, samples: list[Sample], options: Any, splitting: Splitting, device: str
) -> list[Evaluation | ScoreError]:
    try:
        for sample in samples:
            sample.source.require(definition.name, definition.needs)
        with np.errstate(all="ignore"):
            if definition.sampling == "held_out":
                results = _held_out(definition, samples, splitting, options, device)
            else:
                results = [_of_subsets(definition, samples[0], splitting, options)]
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


def _of_subsets(definition: Definition, sample: Sample, splitting: Splitting, options: Any) -> Evaluation | ScoreError:
    assert definition.function is not None
    value = float(definition.function(sample, options))
    if definition.sampling == "constant":
        return Evaluation(value, (value,) * splitting.draws)
    return Evaluation(value, tuple(float(definition.function(part, options)) for part in sample.learning(splitting)))


def _held_out(
    definition: Definition, samples: list[Sample], splitting: Splitting, options: Any, device: str
) -> list[Evaluation | ScoreError]:
    found = _predictions(definition, samples, splitting, options, device)
    control = replace(options, **definition.control)
    controls = _predictions(definition, samples, splitting, control, device) if control != options else found
    return [
        predicted
        if isinstance(predicted, ScoreError)
        else _judged(sample, splitting, predicted, unmoved if definition.control else None, options.metric)
        for sample, predicted, unmoved in zip(samples, found, controls, strict=True)
    ]


def _predictions(
    definition: Definition, samples: list[Sample], splitting: Splitting, options: Any, device: str
) -> list[Predictions | ScoreError]:
    """Return each sample's predictions, those known from another score with this function and options as they are."""
    assert definition.function is not None
    key = definition.function, options, splitting
    missing = [sample for sample in samples if key not in sample.known]
    splits = [splitting.of(sample.labels) for sample in missing]
    if definition.batched and missing:
        found = list(definition.function(missing, splits, options, device))
    else:
        found = [definition.function(sample, parts, options) for sample, parts in zip(missing, splits, strict=True)]
    for sample, predicted in zip(missing, found, strict=True):
        sample.known[key] = predicted
    return [sample.known[key] for sample in samples]


def _judged(
    sample: Sample, splitting: Splitting, predicted: Predictions, control: Predictions | ScoreError | None, metric: Metric
) -> Evaluation:
    """Compare predicted classes with the true ones, split by split."""
    splits = splitting.of(sample.labels)
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
    "Sampling",
    "Source",
    "Split",
    "Splitting",
    "canonical",
    "check_options",
    "computed",
    "evaluate",
    "evaluate_together",
    "get",
    "listed",
    "names",
    "register",
]
