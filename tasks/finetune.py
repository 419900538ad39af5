"""The fine-tuning step as a task."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from itm.core.params import Params
from itm.core.types import DataRef, ModelRef
from itm.finetune.records import Run
from itm.finetune.runs import finetune
from itm.store.layout import Store


@task(name="finetune", task_run_name="finetune {model.name} on {data.name}", cache_policy=NO_CACHE, persist_result=False)
def finetune_pair(model: ModelRef, data: DataRef, params: Params, store: Store) -> tuple[Run, ...]:
    """Return the fine-tuning runs of one pair; our own store decides which must be computed."""
    return finetune(model, data, params.finetune, params.extract, store)
