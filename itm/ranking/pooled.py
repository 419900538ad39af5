"""Scores that are made of several models' values, computed when all models of a data set are there.

A term counts by where a model stands between the lowest and the highest of those ranked together: (t - min) / (max - min), as
ETran and NCTI have it. So such a score changes when a model is added that is the lowest or highest in a term, and can then swap
two others; the terms themselves never change.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from itm.core.sections import ScoreParams
from itm.core.types import Failure, Outcome, Score
from itm.scores import computed, get


def with_pooled(outcomes: Iterable[Outcome], params: ScoreParams) -> list[Outcome]:
    """Return the outcomes of one data set with the pooled scores that `params` asks for; one that lacks a term has a failure.

    Every draw is combined over the models by itself, as if it were a value.
    """
    result = list(outcomes)
    for name in computed(params.names):
        if get(name).terms:
            result = _with_score(name, get(name).terms, result)
    return result


def _with_score(name: str, terms: dict[str, float], outcomes: Sequence[Outcome]) -> list[Outcome]:
    found = [{score.score: score for score in outcome.scores if score.score in terms} for outcome in outcomes]
    whole = [scores for scores in found if scores.keys() == terms.keys()]
    made = iter(_of_scores(whole, terms) if whole else ())
    result = []
    for outcome, scores in zip(outcomes, found, strict=True):
        if scores.keys() == terms.keys():
            value, *draws = next(made).tolist()
            cached = all(score.cached for score in scores.values())
            one = next(iter(scores.values()))
            score = replace(one, score=name, value=value, draws=tuple(draws), seconds=0.0, cached=cached, details={})
            outcome = replace(outcome, scores=(*outcome.scores, score))
        elif outcome.features:
            missing = ", ".join(term for term in terms if term not in scores)
            failure = Failure(outcome.data, outcome.model, f"score {name}", f"is made of {missing} too, which failed.")
            outcome = replace(outcome, failures=(*outcome.failures, failure))
        result.append(outcome)
    return result


def _of_scores(whole: Sequence[dict[str, Score]], terms: dict[str, float]) -> np.ndarray:
    """Return the value and the draws of every model, [models, 1 + draws]."""
    return combined({term: np.array([(scores[term].value, *scores[term].draws) for scores in whole]) for term in terms}, terms)


def combined(numbers: dict[str, np.ndarray], terms: dict[str, float]) -> np.ndarray:
    """Return the weighted sum of each term's numbers [models, k], every column stretched over the models."""
    return np.asarray(sum(weight * _stretched(numbers[term]) for term, weight in terms.items()))


def _stretched(numbers: np.ndarray) -> np.ndarray:
    """Return each column of numbers [models, k] on a scale from 0, the lowest, to 1, the highest; 0 where all are the same."""
    low, high = numbers.min(axis=0), numbers.max(axis=0)
    return np.asarray((numbers - low) / np.where(high > low, high - low, 1.0))
