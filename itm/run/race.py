"""A race on images: models that are clearly behind on some of the images are not extracted on all of them.

All models are scored on a small subset of a data set first. It is doubled as long as it has at most half of the images, and
contains the smaller one, so no image goes through a model twice. After each look at the scores, models that are clearly behind
the leader are dropped. The others are ranked on all images, as without a race.

How a model is dropped: let d be the difference between the leader's score and its own, each a mean over the same K folds, and e
the standard error of d from the K paired differences (`itm.ranking.intervals`). It is dropped if d > q e, where q is the
quantile of level 1 - a of Student's t with K - 1 degrees of freedom. This is a one-sided test of "it is not behind", paired by
fold.

Why a = ALPHA / (looks (models - 1)): let b be the model that a ranking without a race would put first. b is dropped only if at
some look some rival is ahead of b by more than q e. There are at most looks (models - 1) pairs of a look and a rival, and each
has probability a at most, as long as the rival is not expected to be ahead of b on so many images. By the union bound, b is
dropped with probability ALPHA at most, whichever rival leads, however often it is looked, and although the subsets overlap.

What this assumes: a model that is best with all images is not expected to be behind with fewer. Learning curves can cross, but
by less than q e as a rule; `python -m benchmarks.race` counts how often the first model of a ranking is lost.
"""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from itm.core.errors import StoreError
from itm.core.params import LimitParams, Params
from itm.core.sections import ScoreParams
from itm.core.text import pluralize
from itm.core.types import DataRef, Exclusion, ModelRef, Outcome, ScoreValue, Subset
from itm.data.index import read_usable
from itm.data.subset import LEAST, strata_of
from itm.kinds import get_kind
from itm.ranking.batch import splitting
from itm.ranking.intervals import half_width
from itm.ranking.rank import score_to_rank_by
from itm.run.check import has_own_embeddings
from itm.run.engine import Budget, execute
from itm.run.executors import Executor
from itm.run.plan import Plan
from itm.run.stages import Pair
from itm.scores import get
from itm.store.layout import Store

log = logging.getLogger(__name__)

ALPHA = 0.05  # probability at most that the best model of a data set is dropped
START = 256  # images of the first subset, or more where there are many classes
PER_STRATUM = 2 * LEAST  # images per class that the first subset has on average, at least
FOLDS = 20  # more than a ranking has: the quantile of few differences is large, and the training sets are nearly the subset
SHARE = 0.5  # of the limits of a run, for the race
LIMIT = "race"  # the key of `filters`


def compute(planned: Plan, executor: Executor, store: Store, params: Params) -> tuple[Plan, list[Outcome]]:
    """Execute a plan, after a race if the parameters ask for one. Return the plan without the pairs that were dropped.

    The dropped models are among the plan's `excluded`. A model without a score on a subset, for whatever reason, is not
    dropped. An interrupted race resumes, since everything is stored as in a run without one.
    """
    if not params.filters.race or has_own_embeddings(params.data):
        return planned, execute(planned, executor, store, params)
    began, race = time.monotonic(), _Race(planned, executor, store, params)
    pairs: list[Pair] = []
    for data in planned.data_sets:
        pairs += race.survivors(data)
    budget = Budget(params.limits, began)
    for outcome in race.outcomes:
        budget.take(outcome)
    raced = replace(planned, pairs=tuple(pairs), excluded=(*planned.excluded, *race.dropped))
    return raced, execute(raced, executor, store, params, budget)


def subset_sizes(images: int, strata: int) -> list[int]:
    """Return the numbers of images of all subsets: none if there are too few images.

    >>> subset_sizes(2000, 10), subset_sizes(500, 10), subset_sizes(50_000, 1000)
    ([256, 512], [], [10000, 20000])
    """
    size, sizes = max(START, PER_STRATUM * strata), []
    while 2 * size <= images:
        sizes.append(size)
        size *= 2
    return sizes


def race_params(params: ScoreParams, rank_by: str) -> ScoreParams:
    """Return the parameters of the score that decides the order, as a race computes it."""
    changes = {"names": (rank_by,), "splitting": "cross_validation", "folds": FOLDS, "repeats": 1}
    return params.model_copy(update=changes)


def behind(scores: Mapping[str, ScoreValue], comparisons: int, test_over_train: float) -> dict[str, float]:
    """Return the models that are clearly behind the best one, and the lower bound of the difference of their scores.

    Parameters
    ----------
    scores
        The score of each model, on the same folds.
    comparisons
        How many pairs of a look and a rival there are for each model in the whole race.
    """
    best = max(scores.values(), key=lambda own: own.value)
    found, confidence = {}, 1 - 2 * ALPHA / comparisons  # the bound is one-sided
    for model, own in scores.items():
        differences = np.subtract(best.fold_values, own.fold_values).tolist()
        least = best.value - own.value - half_width("held_out", differences, test_over_train, confidence)
        if least > 0:
            found[model] = least
    return found


class _Race:
    """The race of one run. It keeps which models were dropped, and what was computed."""

    def __init__(self, planned: Plan, executor: Executor, store: Store, params: Params) -> None:
        self.planned, self.executor, self.store, self.params = planned, executor, store, params
        self.dropped: list[Exclusion] = []
        self.outcomes: list[Outcome] = []
        self._budget = Budget(_part(params.limits))

    def survivors(self, data: DataRef) -> list[Pair]:
        """Return the pairs of a data set that were not dropped, the best first: a limit ends those that are behind."""
        pairs = [pair for pair in self.planned.pairs if pair[1].name == data.name]
        if get_kind(data.target.kind).level != "image":
            log.info("%s: no race, since its rows are patches of images", data.name)
            return pairs
        rank_by = score_to_rank_by(self.params.score, data.target.kind)
        if get(rank_by).sampling != "held_out":
            log.info("%s: no race, since %s is not measured on held-out images", data.name, rank_by)
            return pairs
        try:
            usable = read_usable(data, self.store).filter(pl.col("split").is_in(list(self.params.score.splits)))
        except StoreError:  # extraction reports it
            return pairs
        sizes = subset_sizes(len(usable), len(np.unique(strata_of(usable, data)))) if len(usable) >= 2 * START else []
        if len(pairs) < 2 or not sizes:
            log.info("%s: no race, since there are only %d images or one model", data.name, len(usable))
            return pairs
        params = self.params.model_copy(update={"score": race_params(self.params.score, rank_by)})
        return self._race([model for model, _ in pairs], data, sizes, len(usable), params)

    def _race(self, models: Sequence[ModelRef], data: DataRef, sizes: Sequence[int], images: int, params: Params) -> list[Pair]:
        racing, comparisons = list(models), len(sizes) * (len(models) - 1)
        known, scores, dropped = None, dict[str, ScoreValue](), set[str]()
        for size in sizes:
            subset = Subset(size, self.params.data.seed)
            found = self._look(racing, replace(data, subset=subset, known=known), params)
            known, scores = subset, scores | found
            if len(found) < 2:
                break
            late = behind(found, comparisons, splitting(params.score).test_over_train)
            dropped |= late.keys()
            self._list(data, late, found, f"{size:,} of {images:,} images")
            racing = [model for model in racing if model.name in found and model.name not in late]
            log.info("%s: %d images, %s left", data.name, size, pluralize(len(models) - len(dropped), "model"))
        kept = [model for model in models if model.name not in dropped]
        kept.sort(key=lambda model: -scores[model.name].value if model.name in scores else np.inf)
        return [(model, replace(data, known=known)) for model in kept]

    def _look(self, models: Iterable[ModelRef], data: DataRef, params: Params) -> dict[str, ScoreValue]:
        """Return the score of each model on a subset."""
        planned = replace(self.planned, data_sets=(data,), pairs=tuple((model, data) for model in models))
        outcomes = execute(planned, self.executor, self.store, params, self._budget)
        self.outcomes += outcomes
        return {outcome.model: outcome.scores[0] for outcome in outcomes if outcome.scores}

    def _list(self, data: DataRef, late: Mapping[str, float], scores: Mapping[str, ScoreValue], images: str) -> None:
        """Note which models are dropped, and why."""
        best = max(scores.values(), key=lambda own: own.value)
        for model, least in late.items():
            own = scores[model]
            reason = (
                f"dropped after {images} of {data.name}: {own.score} {own.value:.3f}, at least {least:.3f} below {best.model}"
            )
            self.dropped.append(Exclusion(model, reason, LIMIT, data.name))


def _part(limits: LimitParams) -> LimitParams:
    """Return the part of limits that the race may use. What it leaves is for the ranking on all images."""
    return LimitParams(
        seconds=None if limits.seconds is None else SHARE * limits.seconds,
        device_seconds=None if limits.device_seconds is None else SHARE * limits.device_seconds,
    )
