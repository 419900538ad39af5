"""The whole way from data sets and a zoo to a ranking, one step after another, with no orchestrator.

A flow that fans the pairs out calls the same steps: `plan`, then extraction and scoring of each pair in any order, `conclude`.
"""

import ctypes
import logging
import sys
from collections.abc import Iterable

import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from itm.errors import ItmError, told
from itm.extract import device, extract
from itm.known_hashes import remembered
from itm.limits import Budget, over_budget
from itm.lookup import look_up, names
from itm.params import Params
from itm.plan import Compared, Plan, check, plan
from itm.pooling import with_pooled
from itm.rank import failed_outcome, rank_data, ranking, scores_table
from itm.ranking_file import page_of, read_ranking, write_ranking
from itm.refresh.recommended import update_recommended
from itm.refresh.records import Work
from itm.report.page import write_page
from itm.scoring import score
from itm.store import Store
from itm.types import DataRef, Failure, Features, ModelRef, Outcome, Ranking, References

__all__ = ["Compared", "Plan", "check", "compare_with", "conclude", "counts", "plan", "run", "run_pair", "share_cores", "work"]

log = logging.getLogger(__name__)

THREADS = torch.get_num_threads()  # the cores this process may use, or what OMP_NUM_THREADS says


def share_cores(workers: int) -> None:
    """Give each of `workers` that compute side by side its share of the cores, in torch and in the matrix library of NumPy."""
    threads = max(1, THREADS // workers)
    torch.set_num_threads(threads)
    threadpool_limits(threads)


def compare_with(planned: Plan, params: Params, store: Store, show_progress: bool = False) -> Compared:
    """Extract every pair that others are compared with; whatever goes wrong is a failure in its place."""
    return {names(*pair): _extracted(*pair, params, store, show_progress) for pair in planned.compared_with}


def run_pair(
    model: ModelRef, data: DataRef, references: References, params: Params, store: Store, show_progress: bool = False
) -> Outcome:
    """Extract and score one pair; whatever goes wrong is in the outcome."""
    features = _extracted(model, data, params, store, show_progress)
    if isinstance(features, Failure):
        return Outcome(data.name, model.name, None, (), (features,))
    target = str(device(params.extract.device))
    scores, failures = score(features, params.score, store, params.extract.resume, target, references)
    return Outcome(data.name, model.name, features, scores, failures)


def _extracted(model: ModelRef, data: DataRef, params: Params, store: Store, show_progress: bool) -> Features | Failure:
    try:
        return extract(model, data, params.score.splits, params.extract, store, show_progress)
    except Exception as error:  # whatever it is, it does not stop the other pairs
        log.error("%s on %s: %s", model.name, data.name, told(error), exc_info=not isinstance(error, ItmError))
        return Failure(data.name, model.name, "extract", told(error))


def give_memory_back() -> None:
    """Give the system back what was freed; after forward passes glibc keeps more than a hundred megabytes of it."""
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)


def conclude(planned: Plan, outcomes: Iterable[Outcome], params: Params, store: Store) -> Ranking:
    """Rank what there is, write scores.parquet, ranking.json and the page, and return the ranking."""
    outcomes = list(outcomes)
    early = [
        failed_outcome(data.name, failure.model, failure.step, failure.reason)
        for data in planned.data_sets
        for failure in planned.failed_models
    ]
    told_of: list[Outcome] = []
    data_sets = []
    for data in planned.data_sets:
        own = with_pooled([o for o in (*outcomes, *early) if o.data == data.name], params.score)
        told_of += own
        data_sets.append(rank_data(data, own, params.score))
    for failure in planned.failed_data:
        models = [model.name for model in planned.models] + [failed.model for failed in planned.failed_models]
        failed = [failed_outcome(failure.data, model, failure.step, failure.reason) for model in models]
        told_of += failed
        data_sets.append(rank_data(_unusable(failure.data, store), failed, params.score, failure.reason))
    result = ranking(data_sets, params)
    update_recommended(result, store, params.refresh.within_noise)
    write_ranking(result, scores_table(planned.data_sets, told_of, params.score), store)
    if not page_of(store).exists():
        write_page(read_ranking(store), store.reports)  # as read back, so that writing it again gives the same bytes
    return result


def work(outcomes: Iterable[Outcome]) -> Work:
    """Return how much was computed and how much was found."""
    outcomes = list(outcomes)
    features = [outcome.features for outcome in outcomes if outcome.features]
    scores = [score for outcome in outcomes for score in outcome.scores]
    new = [one for one in features if not one.cached]
    return Work(
        extracted=len(new),
        features_cached=len(features) - len(new),
        scored=sum(not one.cached for one in scores),
        scores_cached=sum(one.cached for one in scores),
        failed=sum(bool(outcome.failures) for outcome in outcomes),
        images=sum(one.rows for one in new),
        extract_seconds=round(sum(one.seconds for one in new), 3),
        score_seconds=round(sum(one.seconds for one in scores if not one.cached), 3),
    )


def counts(outcomes: Iterable[Outcome]) -> str:
    """Say how much was computed and how much was found."""
    done = work(outcomes)
    return (
        f"extracted {done.extracted} pairs ({done.features_cached} cached), "
        f"computed {done.scored} scores ({done.scores_cached} cached), {done.failed} pairs with failures"
    )


def run(params: Params, store: Store, show_progress: bool = False) -> Ranking:
    """Do everything, one pair after another.

    Raises
    ------
    ParamsError
        If the parameters are wrong as a whole.
    """
    share_cores(1)
    with remembered(store):
        planned, budget = plan(params, store), Budget(params.limits)
        found = look_up(planned, params, store)
    compared = compare_with(planned, params, store, show_progress)
    outcomes = []
    for model, data in planned.pairs:
        outcome = found.outcomes.get(names(model, data))
        if outcome is None and (reason := budget.spent(on_device=names(model, data) not in found.features)):
            outcome = over_budget(data.name, model.name, reason, found.features.get(names(model, data)))
        if outcome is None:
            outcome = run_pair(model, data, planned.references(model, data, compared), params, store, show_progress)
            if outcome.features:
                budget.take(outcome.features)
        outcomes.append(outcome)
    log.info("%s", counts(outcomes))
    return conclude(planned, outcomes, params, store)


def _unusable(source: str, store: Store) -> DataRef:
    return DataRef(name=source, source=source, index=store.index(source), hash="", classes=(), images=0)
