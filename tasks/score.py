"""The score step as a task."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from itm.extract import device
from itm.params import Params
from itm.scoring import Scored, score_together
from itm.store import Store
from itm.types import Features, References


@task(name="score", cache_policy=NO_CACHE, persist_result=False)
def score_models(models: list[Features], references: list[References], params: Params, store: Store) -> list[Scored]:
    """Return the scores of some models of one data set and a failure for each score that is undefined."""
    target = str(device(params.extract.device))
    return score_together(models, params.score, store, params.extract.resume, target, references)
