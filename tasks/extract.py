"""The extract step as a task."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from itm.core.params import Params
from itm.core.types import DataRef, Features, ModelRef
from itm.features.extract import extract
from itm.store.layout import Store


@task(name="extract", task_run_name="extract {model.name} on {data.name}", cache_policy=NO_CACHE, persist_result=False)
def extract_pair(model: ModelRef, data: DataRef, params: Params, store: Store) -> Features:
    """Return the feature file of one pair; our own store decides whether it must be computed."""
    return extract(model, data, params.score.splits, params.extract, store, show_progress=params.runner.kind == "threads")
