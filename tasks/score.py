"""The score step as a task."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from itm.core.params import Params
from itm.core.types import Features
from itm.features.devices import device
from itm.ranking.scoring import Scored, score_together
from itm.store.layout import Store


@task(name="score", cache_policy=NO_CACHE, persist_result=False)
def score_models(models: list[Features], params: Params, store: Store) -> list[Scored]:
    """Return the scores of some models of one data set and a failure for each score that is undefined."""
    target = str(device(params.extract.device))
    return score_together(models, params.score, store, params.extract.resume, target)
