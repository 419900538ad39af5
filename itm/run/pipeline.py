"""The whole way from data sets and a zoo to a ranking, one step after another, with no orchestrator.

A flow that fans the pairs out calls the same steps: `plan`, then extraction and scoring of each pair in any order, `conclude`.
"""

import logging
from collections.abc import Iterable

from itm.core.errors import ItmError
from itm.core.params import Params
from itm.core.rankings import Ranking
from itm.core.secrets import told
from itm.core.types import DataRef, Failure, Features, ModelRef, Outcome
from itm.features.devices import device, share_cores
from itm.features.extract import extract
from itm.ranking.pooled import with_pooled
from itm.ranking.rank import failed_outcome, rank_data, ranking, scores_table
from itm.ranking.recommend import update_recommended
from itm.ranking.scoring import score
from itm.report.page import write_page
from itm.run.limits import Budget, over_budget
from itm.run.lookup import look_up, names
from itm.run.plan import Plan, plan
from itm.run.work import counts
from itm.store.hash_cache import remembered
from itm.store.layout import Store
from itm.store.ranking_file import page_of, read_ranking, write_ranking

log = logging.getLogger(__name__)


def run_pair(model: ModelRef, data: DataRef, params: Params, store: Store, show_progress: bool = False) -> Outcome:
    """Extract and score one pair; whatever goes wrong is in the outcome."""
    features = _extracted(model, data, params, store, show_progress)
    if isinstance(features, Failure):
        return Outcome(data.name, model.name, None, (), (features,))
    target = str(device(params.extract.device))
    scores, failures = score(features, params.score, store, params.extract.resume, target)
    return Outcome(data.name, model.name, features, scores, failures)


def _extracted(model: ModelRef, data: DataRef, params: Params, store: Store, show_progress: bool) -> Features | Failure:
    try:
        return extract(model, data, params.score.splits, params.extract, store, show_progress)
    except Exception as error:  # whatever it is, it does not stop the other pairs
        log.error("%s on %s: %s", model.name, data.name, told(error), exc_info=not isinstance(error, ItmError))
        return Failure(data.name, model.name, "extract", told(error))


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
    outcomes = []
    for model, data in planned.pairs:
        outcome = found.outcomes.get(names(model, data))
        if outcome is None and (reason := budget.spent(on_device=names(model, data) not in found.features)):
            outcome = over_budget(data.name, model.name, reason, found.features.get(names(model, data)))
        if outcome is None:
            outcome = run_pair(model, data, params, store, show_progress)
            if outcome.features:
                budget.take(outcome.features)
        outcomes.append(outcome)
    log.info("%s", counts(outcomes))
    return conclude(planned, outcomes, params, store)


def _unusable(source: str, store: Store) -> DataRef:
    return DataRef(name=source, source=source, index=store.index(source), hash="", classes=(), images=0)
