"""Rankings in MLflow: an experiment a data set, a parent run a ranking, a child run a model.

The registered model of a data set carries the alias `recommended` on its winner.
"""

import json
import time
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from prefect import task
from prefect.cache_policies import NO_CACHE

from itm.keys import metric_name, registered_name
from itm.params import TrackParams
from itm.report.figures import score_against_cost, score_bars
from itm.store import Store
from itm.types import DataRanking, RankedModel, Ranking
from tasks.track.client import code_commit, experiment, mlflow_client

ALIAS = "recommended"


@task(name="track", cache_policy=NO_CACHE, persist_result=False)
def track(ranking: Ranking, params: TrackParams, store: Store) -> list[str]:
    """Log a ranking and return the ids of the parent runs, one a data set."""
    return log_ranking(ranking, params, store)


def log_ranking(ranking: Ranking, params: TrackParams, store: Store) -> list[str]:
    """Log a ranking without an orchestrator around."""
    client = mlflow_client(params)
    readable = [data for data in ranking.data_sets if not data.reason]
    return [_log_data(client, ranking, data, params, store) for data in readable]


def _log_data(client: MlflowClient, ranking: Ranking, data: DataRanking, params: TrackParams, store: Store) -> str:
    experiment_id = experiment(client, data.data, params)
    tags = {
        "data_source": data.source,
        "data_hash": data.hash,
        "rank_by": ranking.rank_by,
        "code_commit": code_commit(),
        "provenance": json.dumps(ranking.provenance, sort_keys=True)[:5000],
    }
    winner = next((row for row in data.rows if row.rank == 1), None)
    if winner:
        tags["recommended"] = winner.model
    title = f"{winner.model} first of {len(data.rows)}" if winner else f"none of {len(data.rows)} ranked"
    parent = client.create_run(experiment_id, run_name=title, tags=tags).info.run_id
    now = int(time.time() * 1000)
    ranked = [row for row in data.rows if row.status == "ranked"]
    counted = {"models_ranked": len(ranked), "models_failed": len(data.rows) - len(ranked), "images": data.images}
    client.log_batch(parent, metrics=[Metric(name, value, now, 0) for name, value in counted.items()])
    children = {row.model: _log_model(client, experiment_id, parent, row, now) for row in data.rows}
    for path in (store.ranking, store.scores, store.reports / "index.html"):
        client.log_artifact(parent, str(path))
    client.log_table(parent, _columns(data.rows), "ranking_table.json")
    if ranked:
        for name, draw in (("score_bars.png", score_bars), ("score_against_cost.png", score_against_cost)):
            client.log_figure(parent, draw(data, ranking.rank_by), name)
    if winner and params.recommend:
        _recommend(client, data, winner, children[winner.model])
    client.set_terminated(parent, "FINISHED" if ranked else "FAILED")
    return str(parent)


def _log_model(client: MlflowClient, experiment_id: str, parent: str, row: RankedModel, now: int) -> str:
    """Log one model as a child run; a failed one is a failed run with its reason."""
    tags = {MLFLOW_PARENT_RUN_ID: parent, "model": row.model, "weights": row.weights or ""}
    if row.failures:
        tags["failure"] = "; ".join(f"{failure.step}: {failure.reason}" for failure in row.failures)[:5000]
    run = client.create_run(experiment_id, run_name=row.model, tags=tags).info.run_id
    metrics: dict[str, float] = {}
    for name, estimate in row.scores.items():
        metrics |= {name: estimate.value, f"{name}/low": estimate.low, f"{name}/high": estimate.high}
        metrics |= {f"{name}/standard_error": estimate.standard_error}
        metrics |= {f"{name}/{detail}": value for detail, value in estimate.details.items()}
    if row.rank is not None and row.tie_group is not None:
        metrics |= {"rank": row.rank, "tie_group": row.tie_group}
    if row.images_per_second:
        metrics["images_per_second"] = row.images_per_second
    facts = row.facts
    axes: dict[str, Any] = {"family": facts.family, "pretraining": facts.pretraining} if facts else {}
    if facts:
        axes |= {"params_m": round(facts.parameters / 1e6, 3), "width": facts.width, "image_size": facts.input_size}
        axes |= {"gmacs": round(facts.gmacs, 4)} if facts.gmacs is not None else {}
    client.log_batch(
        run,
        metrics=[Metric(metric_name(name), value, now, 0) for name, value in metrics.items()],
        params=[Param(name, str(value)) for name, value in axes.items()],
        tags=[RunTag("status", row.status)],
    )
    client.set_terminated(run, "FINISHED" if row.status == "ranked" else "FAILED")
    return str(run)


def _recommend(client: MlflowClient, data: DataRanking, winner: RankedModel, run: str) -> None:
    """Move the alias to the winner, adding a version only when the winner, its weights or the data are others."""
    name = registered_name(f"itm-{data.data}")
    tags = {"model": winner.model, "weights": winner.weights or "", "data_hash": data.hash}
    try:
        if client.get_model_version_by_alias(name, ALIAS).tags == tags:
            return
    except MlflowException:
        pass
    try:
        client.get_registered_model(name)
    except MlflowException:
        client.create_registered_model(name, description=f"The model to fine-tune for {data.data}.")
    client.log_dict(run, tags, "model/model.json")
    version = client.create_model_version(
        name, f"runs:/{run}/model", run_id=run, tags=tags, description=f"{winner.model}, weights {winner.weights}"
    )
    client.set_registered_model_alias(name, ALIAS, version.version)


def _columns(rows: tuple[RankedModel, ...]) -> dict[str, list[Any]]:
    return {
        "rank": [row.rank for row in rows],
        "model": [row.model for row in rows],
        "score": [row.estimate.value if row.estimate else None for row in rows],
        "standard_error": [row.estimate.standard_error if row.estimate else None for row in rows],
        "low": [row.estimate.low if row.estimate else None for row in rows],
        "high": [row.estimate.high if row.estimate else None for row in rows],
        "tie_group": [row.tie_group for row in rows],
        "status": [row.status for row in rows],
        "reason": ["; ".join(failure.reason for failure in row.failures) for row in rows],
    }
