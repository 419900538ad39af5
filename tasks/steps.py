"""The steps of rankings and of fine-tuning as tasks. The store decides what must be computed."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from itm.core.params import Params
from itm.core.rankings import Ranking
from itm.core.types import Outcome
from itm.run.pipeline import conclude
from itm.run.plan import Plan, plan
from itm.run.stages import Job, Stage
from itm.store.layout import Store

PAIR = "{jobs[0].model.name} on {jobs[0].data.name}"


@task(name="ingest", cache_policy=NO_CACHE, persist_result=False)
def ingest(params: Params, store: Store) -> Plan:
    """Ingest every data set and resolve the zoo."""
    return plan(params, store)


@task(name="extract", task_run_name=f"extract {PAIR}", cache_policy=NO_CACHE, persist_result=False)
def extract_pair(stage: Stage, jobs: list[Job], params: Params, store: Store) -> list[Outcome]:
    return stage.compute(jobs, params, store)


@task(name="score", cache_policy=NO_CACHE, persist_result=False)
def score_models(stage: Stage, jobs: list[Job], params: Params, store: Store) -> list[Outcome]:
    return stage.compute(jobs, params, store)


@task(name="finetune", task_run_name=f"finetune {PAIR}", cache_policy=NO_CACHE, persist_result=False)
def finetune_pair(stage: Stage, jobs: list[Job], params: Params, store: Store) -> list[Outcome]:
    return stage.compute(jobs, params, store)


@task(
    name="rung",
    task_run_name="{jobs[0].model.name} on {jobs[0].data.name} to step {stage.wanted.step}",
    cache_policy=NO_CACHE,
    persist_result=False,
)
def train_rung(stage: Stage, jobs: list[Job], params: Params, store: Store) -> list[Outcome]:
    return stage.compute(jobs, params, store)


@task(name="rank", cache_policy=NO_CACHE, persist_result=False)
def rank(planned: Plan, outcomes: list[Outcome], params: Params, store: Store) -> Ranking:
    """Rank the outcomes and write scores.parquet, ranking.json and the page."""
    return conclude(planned, outcomes, params, store)
