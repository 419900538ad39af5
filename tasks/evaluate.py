"""The evaluation step as a task."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from itm.evaluation import desk
from itm.evaluation.standings import PoolStandings
from itm.params import Params
from itm.store import Store


@task(name="evaluate", cache_policy=NO_CACHE, persist_result=False)
def evaluate(params: Params, store: Store) -> tuple[PoolStandings, ...]:
    """Judge every contender by what was measured, and write what comes out."""
    return desk.run(params, store)
