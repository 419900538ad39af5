"""The evaluation step as a task."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from itm.benchmark import desk
from itm.benchmark.standings import PoolStandings
from itm.core.params import Params
from itm.store.layout import Store


@task(name="evaluate", cache_policy=NO_CACHE, persist_result=False)
def evaluate(params: Params, store: Store) -> tuple[PoolStandings, ...]:
    """Judge every contender by what was measured, and write what comes out."""
    return desk.run(params, store)
