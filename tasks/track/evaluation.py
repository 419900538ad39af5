"""Evaluations in MLflow: an experiment of their own, a parent run an evaluation, a child run a contender."""

import time
from collections.abc import Sequence

from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from prefect import task
from prefect.cache_policies import NO_CACHE

from itm.benchmark.standings import PoolStandings, Standing
from itm.core.keys import metric_name
from itm.core.sections import TrackParams
from itm.store.layout import Store
from tasks.track.client import code_commit, experiment, tracking

EXPERIMENT = "evaluation"


@task(name="track evaluation", cache_policy=NO_CACHE, persist_result=False)
def track_evaluation(pools: Sequence[PoolStandings], params: TrackParams, store: Store) -> str:
    """Log how every contender stands in every pool, and return the id of the parent run."""
    sizes = ", ".join(f"{pool.name}: {len(pool.models)} models, {len(pool.sets)} sets" for pool in pools)
    tags = {"step": "evaluate", "code_commit": code_commit(), "pools": sizes}
    contenders: dict[str, dict[str, Standing]] = {}
    for pool in pools:
        for one in pool.standings:
            contenders.setdefault(one.name, {})[pool.name] = one
    with tracking(params) as client:
        now, experiment_id = int(time.time() * 1000), experiment(client, EXPERIMENT, params)
        parent = str(client.create_run(experiment_id, run_name=f"evaluation of {len(pools)} pools", tags=tags).info.run_id)
        for name, by_pool in contenders.items():
            _log_contender(client, experiment_id, parent, name, by_pool, now)
        client.log_artifacts(parent, str(store.evaluation))
        client.set_terminated(parent, "FINISHED")
    return parent


def _log_contender(
    client: MlflowClient, experiment_id: str, parent: str, name: str, by_pool: dict[str, Standing], now: int
) -> None:
    kind = next(iter(by_pool.values())).kind
    run = client.create_run(experiment_id, run_name=name, tags={MLFLOW_PARENT_RUN_ID: parent, "kind": kind}).info.run_id
    metrics: dict[str, float] = {}
    for pool, one in by_pool.items():
        figures = {"tau_w": one.tau.mean, "tau_w/low": one.tau.low, "tau_w/high": one.tau.high}
        figures |= {"worst": one.worst, "regret": one.regret, "top1": one.top1, "top3": one.top3}
        metrics |= {f"{pool}/{figure}": value for figure, value in figures.items()}
    client.log_batch(run, metrics=[Metric(metric_name(figure), value, now, 0) for figure, value in metrics.items()])
    client.set_terminated(run, "FINISHED")
