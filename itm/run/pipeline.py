"""From data sets and a zoo to a ranking: plan, execute, conclude."""

import logging
import time
from collections.abc import Iterable
from dataclasses import replace

from itm.core.errors import StoreError
from itm.core.params import Params
from itm.core.rankings import DataRanking, Ranking
from itm.core.types import DataRef, ModelRef, Outcome, TargetSpec
from itm.ranking.pooled import with_pooled
from itm.ranking.rank import failed_outcome, rank_data, ranking, scores_table
from itm.ranking.recommend import update_recommended
from itm.report.page import is_current, write_page
from itm.run.examples import write_example_masks
from itm.run.executors import Executor, executor
from itm.run.plan import Plan, plan
from itm.run.race import compute
from itm.run.speeds import with_speeds
from itm.run.work import counts
from itm.store.confirmed_file import read_confirmed
from itm.store.example_files import read_example_masks
from itm.store.layout import Store
from itm.store.ranking_file import page_path, read_ranking, write_ranking
from itm.zoo.recipe import recipe

log = logging.getLogger(__name__)


def run(params: Params, store: Store, runner: Executor | None = None) -> Ranking:
    """Rank every model on every data set with `runner`, or with the executor that the parameters name.

    Raises
    ------
    ParamsError
        If the parameters are wrong as a whole.
    """
    return rank(params, store, runner)[1]


def rank(params: Params, store: Store, runner: Executor | None = None) -> tuple[Plan, Ranking]:
    """Do what `run` does, and return the plan as well: the models and data sets that were found, and the ranked pairs."""
    began, planned = time.monotonic(), plan(params, store)
    planned, outcomes = compute(planned, runner or executor(params.runner), store, params)
    log.info("%s", counts(planned, outcomes))
    return planned, conclude(planned, with_speeds(planned, outcomes, params, store, began), params, store)


def conclude(planned: Plan, outcomes: Iterable[Outcome], params: Params, store: Store) -> Ranking:
    """Rank the outcomes, write scores.parquet, ranking.json and the page, and return the ranking."""
    outcomes = list(outcomes)
    early = [
        failed_outcome(data.name, failure.model, failure.step, failure.reason)
        for data in planned.data_sets
        for failure in planned.failed_models
    ]
    everything: list[Outcome] = []
    data_sets, redrawn = [], False
    for data in planned.data_sets:
        own = with_pooled([o for o in (*outcomes, *early) if o.data == data.name], params.score)
        everything += own
        ranked = rank_data(data, own, params.score)
        redrawn |= write_example_masks(data, ranked, planned.models, own, store)
        data_sets.append(_with_recipe(ranked, planned.models))
    for failure in planned.failed_data:
        models = [model.name for model in planned.models] + [failed.model for failed in planned.failed_models]
        failed = [failed_outcome(failure.data, model, failure.step, failure.reason) for model in models]
        everything += failed
        data_sets.append(rank_data(_unusable(failure.data, store), failed, params.score, failure.reason))
    result = ranking(data_sets, params, planned.excluded)
    if params.track.recommend:
        update_recommended(result, store, params.refresh.within_noise)
    write_ranking(result, scores_table(planned.data_sets, everything, params.score), store)
    try:
        if redrawn or not is_current(page_path(store)):
            written = read_ranking(store)  # as read back, so that writing the page again gives the same bytes
            write_page(written, store.reports, read_confirmed(written, store), read_example_masks(written, store))
    except StoreError as error:
        raise StoreError(f"{error} The ranking is stored: `itm show` prints it, and `itm report` writes the page.") from error
    return result


def _with_recipe(data: DataRanking, models: Iterable[ModelRef]) -> DataRanking:
    """Return a ranking with the code that builds its first model."""
    first = next(
        (model for row in data.rows for model in models if row.rank == 1 and row.facts and row.model == model.name), None
    )
    return data if first is None else replace(data, recipe=recipe(first))


def _unusable(source: str, store: Store) -> DataRef:
    return DataRef(name=source, source=source, index=store.index(source), hash="", target=TargetSpec(), images=0)
