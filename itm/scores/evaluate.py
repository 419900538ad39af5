"""The function through which all scores are computed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from itm.core.errors import ItmError, ScoreError
from itm.scores.base import Evaluation, Score
from itm.scores.folds import Splitting
from itm.scores.model_info import ModelInfo
from itm.scores.registry import get, make, names
from itm.scores.sample import Sample, canonical

CROSS_VALIDATION = Splitting()


def evaluate(
    name: str,
    features: np.ndarray,
    targets: np.ndarray,
    kind: str = "classification",
    groups: np.ndarray | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    ids: Sequence[str] | None = None,
    model: ModelInfo | None = None,
    splitting: Splitting = CROSS_VALIDATION,
    device: str = "cpu",
) -> Evaluation:
    """Compute a score of one model.

    Parameters
    ----------
    name
        The name of the score.
    features
        Embeddings [n, d]. They may be memory-mapped; scores that can work in blocks never hold them whole.
    targets
        Targets [n]: labels as text or whole numbers for classification, numbers for regression. Several targets of a regression
        are [n, t], and so are the 0 or 1 of each row and label for multi-label classification.
    kind
        The kind of task.
    groups
        The group [n] of each row, such as its patient; folds never split one. None: every row is its own group.
    options
        Options that differ from the score's defaults.
    ids
        Names of the rows. Rows are sorted by id, so that models are compared on the same folds; without ids by their content.
    model
        What is known about the model besides its embeddings; `Score.info.needs` says what a score requires.
    splitting
        How rows are split into folds.
    device
        Where scores compute that can use an accelerator.

    Raises
    ------
    ScoreError
        If the score is undefined here: shapes do not match, values are not finite, there are fewer than two classes or five
        rows, the score does not hold for the kind of task, or a fact that it needs is unknown.
    ParamsError
        If the score, an option or the kind is unknown, or the score combines several models' values.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(60) % 3
    >>> evaluate("knn", np.eye(3)[labels] + 0.01 * rng.normal(size=(60, 3)), labels).value
    1.0
    """
    sample = canonical(features, targets, ids, model, kind, groups)
    (result,) = evaluate_together(name, [sample], options=options, splitting=splitting, device=device)
    if isinstance(result, ItmError):
        raise result
    return result


def evaluate_together(
    name: str,
    samples: Sequence[Sample],
    *,
    options: Mapping[str, Any] | None = None,
    splitting: Splitting = CROSS_VALIDATION,
    device: str = "cpu",
) -> list[Evaluation | ScoreError]:
    """Compute a score of several models for the same images, those with embeddings of equal width in one program if it can.

    A model for which the score is undefined has its error as result; the others are not affected. Scores of the same sample
    share what they compute of its rows.
    """
    score = make(name, options)
    widths: dict[int, list[int]] = {}
    for number, sample in enumerate(samples):
        widths.setdefault(sample.table.shape[1] if score.together else number, []).append(number)
    results: dict[int, Evaluation | ScoreError] = {}
    for numbers in widths.values():
        found = _evaluated(score, [samples[number] for number in numbers], splitting, device)
        results |= dict(zip(numbers, found, strict=True))
    return [results[number] for number in range(len(samples))]


def _evaluated(score: Score[Any], samples: list[Sample], splitting: Splitting, device: str) -> list[Evaluation | ScoreError]:
    name, kinds = score.info.name, score.info.kinds
    try:
        for sample in samples:
            if (kind := sample.kind.name) not in kinds:
                others = ", ".join(one for one in names() if kind in get(one).info.kinds) or "none"
                raise ScoreError(
                    f"{name} does not hold for {kind}, only for {' and '.join(kinds)}; scores for {kind}: {others}."
                )
            sample.model.require(name, score.info.needs)
        with np.errstate(all="ignore"):
            results = score.evaluate(samples, splitting, device)
    except ScoreError as error:
        return [error] * len(samples)
    return [
        result
        if isinstance(result, ScoreError) or np.isfinite([result.value, *result.fold_values]).all()
        else ScoreError(f"{name} is {result.value} (by fold: {result.fold_values}); report the features that do this.")
        for result in results
    ]
