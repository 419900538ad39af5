"""The whole way from data sets and a zoo to a ranking, one step after another, with no orchestrator.

A flow that fans the pairs out calls the same steps: `plan`, then extraction and scoring of each pair in any order, `conclude`.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from itm.data import check_names, ingest_all
from itm.errors import ItmError, ParamsError, told
from itm.extract import device, extract
from itm.params import Params, ZooParams
from itm.pooling import with_pooled
from itm.rank import failed_outcome, rank_data, ranking, scores_table
from itm.ranking_file import read_ranking, write_ranking
from itm.report.page import write_page
from itm.scores import check_options, computed, get
from itm.scoring import score
from itm.store import Store
from itm.types import DataRef, Failure, Features, ModelRef, Outcome, Ranking, References
from itm.zoo.resolve import resolve
from itm.zoo.zoo_file import read_zoo_file

log = logging.getLogger(__name__)

THREADS = torch.get_num_threads()  # the cores this process may use, or what OMP_NUM_THREADS says


Compared = Mapping[tuple[str, str], Features | Failure]  # by the names of model and data set


@dataclass(frozen=True)
class Plan:
    """Which pairs there are, what some scores compare them with, and what failed before the first of them."""

    data_sets: tuple[DataRef, ...]
    models: tuple[ModelRef, ...]
    failed_data: tuple[Failure, ...] = ()
    failed_models: tuple[Failure, ...] = ()
    source: DataRef | None = None
    untrained: ModelRef | None = None

    @property
    def pairs(self) -> list[tuple[ModelRef, DataRef]]:
        """Return every model with every data set."""
        return [(model, data) for data in self.data_sets for model in self.models]

    @property
    def compared_with(self) -> list[tuple[ModelRef, DataRef]]:
        """Return the pairs whose embeddings some scores compare with: all models on the source, the untrained one on all."""
        source = [(model, self.source) for model in self.models] if self.source else []
        return source + ([(self.untrained, data) for data in self.data_sets] if self.untrained else [])

    def references(self, model: ModelRef, data: DataRef, compared: Compared) -> References:
        """Return what the pairs that this one is compared with came to."""
        return References(
            compared[model.name, self.source.name] if self.source else None,
            compared[self.untrained.name, data.name] if self.untrained else None,
        )


def check(params: Params) -> None:
    """Find what is wrong with the parameters before any work is done.

    Raises
    ------
    ParamsError
        If no data set is named or two have the same name, the zoo file cannot be read, the device is not here, or a score or
        one of its options is unknown.
    """
    check_names(params.ingested)
    if params.zoo.file:
        read_zoo_file(params.zoo.file)
    device(params.extract.device)
    for name in {*computed(params.score.names), *params.score.options, params.score.rank_by}:
        check_options(name, params.score.options.get(name))


def plan(params: Params, store: Store) -> Plan:
    """Check the parameters, clear away what killed runs left, resolve the zoo and ingest the data.

    Raises
    ------
    ParamsError
        If the parameters are wrong as a whole.
    """
    check(params)
    models, failed_models = resolve(params.zoo)
    store.make_folders()
    store.sweep()
    for failure in failed_models:
        log.error("%s: %s", failure.model, failure.reason)
    data_sets, failed_data = ingest_all(params.data, store)
    uses = {use for name in computed(params.score.names) for use in get(name).uses}
    source = _source(params, data_sets, store) if "source" in uses else None
    untrained = _untrained(params) if "untrained" in uses else None
    return Plan(data_sets, tuple(models), failed_data, tuple(failed_models), source, untrained)


def _source(params: Params, data_sets: Iterable[DataRef], store: Store) -> DataRef | None:
    if params.score.source is None:
        return None
    for data in data_sets:
        if data.source == params.score.source:
            return data
    found, failed = ingest_all(params.data.model_copy(update={"sets": (params.score.source,)}), store)
    if failed:
        raise ParamsError(f"score.source: {failed[0].reason}")
    return found[0]


def _untrained(params: Params) -> ModelRef | None:
    if params.score.untrained is None:
        return None
    found, failed = resolve(ZooParams(file=params.zoo.file, models=(params.score.untrained,)))
    if failed or len(found) != 1:
        reason = failed[0].reason if failed else f"{len(found)} models have this name; name one."
        raise ParamsError(f"score.untrained is {params.score.untrained!r}: {reason}")
    return found[0]


def share_cores(workers: int) -> None:
    """Give each of `workers` that compute side by side its share of the cores, in torch and in the matrix library of NumPy."""
    threads = max(1, THREADS // workers)
    torch.set_num_threads(threads)
    threadpool_limits(threads)


def compare_with(planned: Plan, params: Params, store: Store, show_progress: bool = False) -> Compared:
    """Extract every pair that others are compared with; whatever goes wrong is a failure in its place."""
    return {
        (model.name, data.name): _extracted(model, data, params, store, show_progress) for model, data in planned.compared_with
    }


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
        names = [m.name for m in planned.models] + [f.model for f in planned.failed_models]
        failed = [failed_outcome(failure.data, name, failure.step, failure.reason) for name in names]
        told_of += failed
        data_sets.append(rank_data(_unusable(failure.data, store), failed, params.score, failure.reason))
    result = ranking(data_sets, params)
    write_ranking(result, scores_table(planned.data_sets, told_of, params.score), store)
    write_page(read_ranking(store), store.reports)  # as read back, so that writing it again gives the same bytes
    return result


def counts(outcomes: Iterable[Outcome]) -> str:
    """Say how much was computed and how much was found."""
    outcomes = list(outcomes)
    features = [outcome.features for outcome in outcomes if outcome.features]
    scores = [score for outcome in outcomes for score in outcome.scores]
    failed = sum(bool(outcome.failures) for outcome in outcomes)
    return (
        f"extracted {sum(not f.cached for f in features)} pairs ({sum(f.cached for f in features)} cached), "
        f"computed {sum(not s.cached for s in scores)} scores ({sum(s.cached for s in scores)} cached), "
        f"{failed} pairs with failures"
    )


def run(params: Params, store: Store, show_progress: bool = False) -> Ranking:
    """Do everything, one pair after another.

    Raises
    ------
    ParamsError
        If the parameters are wrong as a whole.
    """
    share_cores(1)
    planned = plan(params, store)
    compared = compare_with(planned, params, store, show_progress)
    outcomes = [
        run_pair(model, data, planned.references(model, data, compared), params, store, show_progress)
        for model, data in planned.pairs
    ]
    log.info("%s", counts(outcomes))
    return conclude(planned, outcomes, params, store)


def _unusable(source: str, store: Store) -> DataRef:
    return DataRef(name=source, source=source, index=store.index(source), hash="", classes=(), images=0)
