"""The evaluation of scores as a task."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from itm.benchmark import desk
from itm.benchmark.results import PoolResults
from itm.core.params import Params
from itm.store.layout import Store


@task(name="evaluate", cache_policy=NO_CACHE, persist_result=False)
def evaluate(params: Params, store: Store) -> tuple[PoolResults, ...]:
    """Evaluate all predictors on the measurements, and write the results."""
    return desk.run(params, store)
