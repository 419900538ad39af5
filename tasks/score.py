"""The score step as a task."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from itm.params import Params
from itm.scoring import score
from itm.store import Store
from itm.types import Failure, Features, Score


@task(name="score", cache_policy=NO_CACHE, persist_result=False)
def score_pair(features: Features, params: Params, store: Store) -> tuple[tuple[Score, ...], tuple[Failure, ...]]:
    """Return the scores of one pair and a failure for each that is undefined on it."""
    return score(features, params.score, store, params.extract.resume)
