"""The ingest step as a task."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from itm.core.params import Params
from itm.run.plan import Plan, plan
from itm.store.layout import Store


@task(name="ingest", cache_policy=NO_CACHE, persist_result=False)
def ingest(params: Params, store: Store) -> Plan:
    """Ingest every data set and resolve the zoo."""
    return plan(params, store)
