"""Rank arrays of embeddings in memory: without a model and without a store. Nothing is written."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from itm.core.errors import DataError
from itm.core.keys import content_key
from itm.core.params import Params
from itm.core.rankings import Ranking
from itm.core.sections import ScoreParams
from itm.core.types import DataRef, Failure, Outcome, ScoreValue
from itm.kinds import get_kind
from itm.ranking.batch import Batch, Evaluated, single
from itm.ranking.pooled import with_pooled
from itm.ranking.rank import rank_data, ranking, scores_for
from itm.ranking.scoring import plain, score_failure
from itm.scores import ModelInfo, canonical, get

Arrays = Mapping[str, np.ndarray | Exception]


def describe_labels(
    name: str, texts: Sequence[str], kind: str, groups: Sequence[str | None] | None
) -> tuple[DataRef, np.ndarray]:
    """Return the record of labels in memory, and the labels [n] as scores need them.

    Raises
    ------
    DataError
        If a label is missing or wrong, or there are too few of a class.
    """
    task = get_kind(kind)
    targets = []
    for row, text in enumerate(texts):
        try:
            targets.append(task.read(text))
        except DataError as error:
            raise DataError(f"{name}: row {row} of the labels, counted from 0, has {error}; leave the row out.") from None
    spec = task.specify(targets)
    encoded = task.encode(targets, spec)
    if problems := task.check(encoded, spec, ["train"] * len(targets)):
        raise DataError(f"{name}: {'; '.join(problems)}.")
    count = len({*groups} - {None}) if groups is not None else 0
    data = DataRef(name, name, Path(), content_key([targets, groups]), spec, len(targets), count)
    return data, encoded


def rank_arrays(
    arrays: Arrays, data: DataRef, targets: np.ndarray, groups: np.ndarray | None, params: ScoreParams, device: str = "cpu"
) -> Ranking:
    """Rank arrays [n, d] by their scores for the targets [n]. An error in place of an array is a failed row."""
    wanted, params = params, params.model_copy(update={"names": scores_for(params, data.target.kind)})
    ids = [f"{row:09d}" for row in range(len(targets))]  # as for files: the same rows give the same folds
    usable = {model: array for model, array in arrays.items() if isinstance(array, np.ndarray)}
    readers = [
        partial(canonical, array, targets, ids, ModelInfo(identity=model), data.target.kind, groups)
        for model, array in usable.items()
    ]
    found = _evaluate(Batch(readers, params, device), len(readers), single(params))
    outcomes = [_outcome(model, data, results) for model, results in zip(usable, found, strict=True)]
    for model, error in arrays.items():
        if isinstance(error, Exception):
            outcomes.append(Outcome(data.name, model, failures=(Failure(data.name, model, "embeddings", str(error)),)))
    return ranking([rank_data(data, with_pooled(outcomes, params), wanted)], Params(score=params))


def _evaluate(batch: Batch, models: int, names: Sequence[str]) -> list[dict[str, Evaluated]]:
    """Return all scores of each model. Scores that can are computed for all models in one program."""
    found: list[dict[str, Evaluated]] = [{} for _ in range(models)]
    together = [name for name in names if get(name).together]
    for name in together:
        for number, result in batch.evaluate(name, list(range(models))).items():
            found[number][name] = result
    for number in range(models):
        for name in names:
            if name not in together:
                found[number][name] = batch.evaluate(name, [number])[number]
        batch.forget(number)
    return found


def _outcome(model: str, data: DataRef, results: Mapping[str, Evaluated]) -> Outcome:
    scores, failures = [], []
    for name, result in results.items():
        if isinstance(result, Exception):
            failures.append(score_failure(name, model, data.name, result))
        else:
            own = plain(*result)
            own["fold_values"] = tuple(own["fold_values"])
            scores.append(ScoreValue(data.name, data.hash, model, "", name, **own))
    return Outcome(data.name, model, scores=tuple(scores), failures=tuple(failures))
