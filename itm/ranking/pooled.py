"""Combined scores, computed when the values of all models of a data set are there.

Each term is scaled over the models ranked together: (t - min) / (max - min), as in ETran and NCTI. So a combined score changes
when a model is added that is the lowest or highest in a term, and two others can then swap places. The terms never change.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from itm.core.sections import ScoreParams
from itm.core.types import Failure, Outcome
from itm.scores import expand, get, weights_of


def with_pooled(outcomes: Iterable[Outcome], params: ScoreParams) -> list[Outcome]:
    """Return the outcomes of one data set with the combined scores that `params` asks for.

    A model that lacks a term gets a failure. Values per fold are combined over the models fold by fold. Scores that do not hold
    for the task kind of the data set are left out.
    """
    result = list(outcomes)
    kinds = {outcome.features.kind for outcome in result if outcome.features}
    for name in expand(params.names):
        if (weights := weights_of(name)) and kinds <= set(get(name).info.kinds):
            result = _with_score(name, weights, result)
    return result


def _with_score(name: str, weights: Mapping[str, float], outcomes: Sequence[Outcome]) -> list[Outcome]:
    found = [{score.score: score for score in outcome.scores if score.score in weights} for outcome in outcomes]
    whole = [scores for scores in found if scores.keys() == weights.keys()]
    numbers = {term: np.array([(own[term].value, *own[term].fold_values) for own in whole]) for term in weights}
    computed = iter(combined(numbers, weights) if whole else ())  # [models, 1 + folds]
    result = []
    for outcome, scores in zip(outcomes, found, strict=True):
        if scores.keys() == weights.keys():
            value, *fold_values = next(computed).tolist()
            cached = all(score.cached for score in scores.values())
            one = next(iter(scores.values()))
            score = replace(one, score=name, value=value, fold_values=tuple(fold_values), seconds=0.0, cached=cached)
            outcome = replace(outcome, scores=(*outcome.scores, replace(score, details={}, metric=None)))
        elif outcome.features or outcome.scores:  # arrays in memory have no feature file
            missing = ", ".join(term for term in weights if term not in scores)
            failure = Failure(outcome.data, outcome.model, f"score {name}", f"is made of {missing} too, which failed.")
            outcome = replace(outcome, failures=(*outcome.failures, failure))
        result.append(outcome)
    return result


def combined(numbers: Mapping[str, np.ndarray], weights: Mapping[str, float]) -> np.ndarray:
    """Return the weighted sum of the numbers [models, k] of each term, every column scaled over the models."""
    return np.asarray(sum(weight * _scaled(numbers[term]) for term, weight in weights.items()))


def _scaled(numbers: np.ndarray) -> np.ndarray:
    """Return each column of numbers [models, k] scaled from 0, the lowest, to 1, the highest; 0 if all are equal."""
    low, high = numbers.min(axis=0), numbers.max(axis=0)
    return np.asarray((numbers - low) / np.where(high > low, high - low, 1.0))
