"""Which pairs of a model and a data set a run computes, through which stages, and what is stored of them."""

import logging
from dataclasses import dataclass, replace

from itm.core.errors import ItmError
from itm.core.filter_section import FilterParams
from itm.core.params import Params
from itm.core.sections import ZooParams
from itm.core.types import DataRef, Exclusion, Failure, ModelRef, Outcome
from itm.data.index import indexed
from itm.data.ingest import ingest_all, short_name
from itm.features.own_embeddings import own_embeddings
from itm.run.check import check, has_own_embeddings
from itm.run.exclude import exclude
from itm.run.import_stage import ImportStage
from itm.run.stages import EXTRACT, Job, Pair, PairKey, ScoreStage, Stage
from itm.store.hash_cache import load_hashes, saved_hashes
from itm.store.layout import Store
from itm.zoo.hub import prefetch
from itm.zoo.resolve import resolve

log = logging.getLogger(__name__)

LIMITS = "limits"  # step of the failures of pairs beyond a limit
NEVER_READ = "images were never read"


@dataclass(frozen=True)
class Plan:
    """The pairs of a run, the stages that each goes through, and what failed before the first of them."""

    data_sets: tuple[DataRef, ...]
    models: tuple[ModelRef, ...]
    pairs: tuple[Pair, ...]
    stages: tuple[Stage, ...]
    failed_data: tuple[Failure, ...] = ()
    failed_models: tuple[Failure, ...] = ()
    excluded: tuple[Exclusion, ...] = ()

    def through(self, *stages: Stage) -> "Plan":
        return replace(self, stages=stages)


def plan(params: Params, store: Store, offline: bool = False) -> Plan:
    """Resolve the zoo, fetch its weights and ingest the data. The stages are those of a ranking.

    With `offline`, nothing is fetched, ingested or written: data sets are taken from their indexes.
    """
    check(params)
    if has_own_embeddings(params.data):
        return _plan_own_embeddings(params, store, offline)
    if params.zoo == ZooParams():
        log.info("no model is named: ranking the embedded zoo; name others with --model or --zoo, or in params.yaml")
    found, failed = resolve(params.zoo)
    found, excluded = exclude(found, params, store, offline)
    most = params.limits.max_models or len(found)
    reason = f"is beyond limits.max_models ({most}) of {len(found)} models; raise it, or name fewer."
    models, beyond = tuple(found[:most]), [Failure("", model.name, LIMITS, reason) for model in found[most:]]
    if offline:
        load_hashes(store)
        data_sets, failed_data = _indexed(params, store)
        failed_models = (*failed, *beyond)
    else:
        store.make_folders()
        store.remove_abandoned()
        with saved_hashes(store):
            models, unfetched = prefetch(models, params.zoo)
        failed_models = (*failed, *beyond, *unfetched)
        for failure in failed_models:
            log.error("%s: %s", failure.model, failure.reason)
        data_sets, failed_data = ingest_all(params.data, store)
    pairs = tuple((model, data) for data in data_sets for model in models)
    stages = EXTRACT, ScoreStage(params.runner.together)
    return Plan(data_sets, models, pairs, stages, failed_data, failed_models, tuple(excluded))


def _plan_own_embeddings(params: Params, store: Store, offline: bool) -> Plan:
    """Plan the ranking of embeddings that the user has computed: the models of a data set are the files next to its labels."""
    if params.filters != FilterParams():
        log.warning("filters are ignored: embeddings come without models")
    if offline:
        load_hashes(store)
        data_sets, failed_data = _indexed(params, store)
    else:
        store.make_folders()
        store.remove_abandoned()
        data_sets, failed_data = ingest_all(params.data, store)
    files = {data.name: source.files() if (source := own_embeddings(data.source)) else {} for data in data_sets}
    models = {name: ModelRef(name) for own in files.values() for name in own}
    pairs = tuple((models[name], data) for data in data_sets for name in files[data.name])
    return Plan(data_sets, tuple(models.values()), pairs, (ImportStage(), ScoreStage(params.runner.together)), failed_data)


def _indexed(params: Params, store: Store) -> tuple[tuple[DataRef, ...], tuple[Failure, ...]]:
    """Return the data sets that have an index, and a failure for each of the others."""
    found, missing = [], []
    for source in params.data.sets:
        try:
            data = indexed(source, store)
        except ItmError:
            data = None
        if data:
            found.append(data)
        else:
            missing.append(Failure(short_name(source), "", "ingest", NEVER_READ))
    return tuple(found), tuple(missing)


def find_cached(plan: Plan, params: Params, store: Store) -> dict[PairKey, tuple[int, Outcome]]:
    """Return for every pair how many of its stages are stored, and their results.

    No embedding is read, except those of pairs that still need a later stage: these are checked.
    """
    found: dict[PairKey, tuple[int, Outcome]] = {}
    jobs = [Job(model, data, Outcome(data.name, model.name)) for model, data in plan.pairs]
    for number, stage in enumerate(plan.stages):
        cached = stage.find_cached(jobs, params, store)
        for job in jobs:
            if job.key in cached:
                continue
            usable = number == 0 or plan.stages[number - 1].is_usable(job.outcome, store)
            found[job.key] = (number, job.outcome) if usable else (0, Outcome(job.data.name, job.model.name))
        jobs = [replace(job, outcome=cached[job.key]) for job in jobs if job.key in cached]
    return found | {job.key: (len(plan.stages), job.outcome) for job in jobs}
