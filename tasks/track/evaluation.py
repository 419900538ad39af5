"""Evaluations in MLflow: one parent run per evaluation, one child run per predictor, in the experiment `evaluation`."""

import time
from collections.abc import Sequence

from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from prefect import task
from prefect.cache_policies import NO_CACHE

from itm.benchmark.results import PoolResults, PredictorResult
from itm.core.keys import metric_name
from itm.core.params import TrackParams
from itm.store.layout import Store
from tasks.track.client import get_experiment, open_client, origin

EXPERIMENT = "evaluation"


@task(name="track evaluation", cache_policy=NO_CACHE, persist_result=False)
def track_evaluation(pools: Sequence[PoolResults], params: TrackParams, store: Store) -> str:
    """Log the results of all predictors and pools. Return the id of the parent run."""
    sizes = ", ".join(f"{pool.name}: {len(pool.models)} models, {len(pool.sets)} sets" for pool in pools)
    tags = {"step": "evaluate", **origin(), "pools": sizes}
    predictors: dict[str, dict[str, PredictorResult]] = {}
    for pool in pools:
        for result in pool.results:
            predictors.setdefault(result.name, {})[pool.name] = result
    with open_client(params) as client:
        now, experiment_id = int(time.time() * 1000), get_experiment(client, EXPERIMENT, params)
        parent = str(client.create_run(experiment_id, run_name=f"evaluation of {len(pools)} pools", tags=tags).info.run_id)
        for name, by_pool in predictors.items():
            _log_predictor(client, experiment_id, parent, name, by_pool, now)
        client.log_artifacts(parent, str(store.evaluation))
        client.set_terminated(parent, "FINISHED")
    return parent


def _log_predictor(
    client: MlflowClient, experiment_id: str, parent: str, name: str, by_pool: dict[str, PredictorResult], now: int
) -> None:
    kind = next(iter(by_pool.values())).kind
    run = client.create_run(experiment_id, run_name=name, tags={MLFLOW_PARENT_RUN_ID: parent, "kind": kind}).info.run_id
    metrics: dict[str, float] = {}
    for pool, result in by_pool.items():
        values = {"tau_w": result.tau.mean, "tau_w/low": result.tau.low, "tau_w/high": result.tau.high}
        values |= {"worst": result.worst, "regret": result.regret, "top1": result.top1, "top3": result.top3}
        metrics |= {f"{pool}/{metric}": value for metric, value in values.items()}
    client.log_batch(run, metrics=[Metric(metric_name(metric), value, now, 0) for metric, value in metrics.items()])
    client.set_terminated(run, "FINISHED")
