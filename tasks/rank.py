"""The rank and report steps as a task."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from itm.params import Params
from itm.pipeline import conclude
from itm.plan import Plan
from itm.store import Store
from itm.types import Outcome, Ranking


@task(name="rank", cache_policy=NO_CACHE, persist_result=False)
def rank(planned: Plan, outcomes: list[Outcome], params: Params, store: Store) -> Ranking:
    """Rank what there is and write scores.parquet, ranking.json and the page."""
    return conclude(planned, outcomes, params, store)
