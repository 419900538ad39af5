"""The rank and report steps as a task."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from itm.core.params import Params
from itm.core.rankings import Ranking
from itm.core.types import Outcome
from itm.run.pipeline import conclude
from itm.run.plan import Plan
from itm.store.layout import Store


@task(name="rank", cache_policy=NO_CACHE, persist_result=False)
def rank(planned: Plan, outcomes: list[Outcome], params: Params, store: Store) -> Ranking:
    """Rank what there is and write scores.parquet, ranking.json and the page."""
    return conclude(planned, outcomes, params, store)
