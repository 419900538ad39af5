"""Rankings in MLflow: an experiment a data set, a parent run a ranking, a child run a model.

A model's child run lies below the first ranking that had its numbers: what has not changed is not logged again, so that a zoo
of hundreds costs no more than what is new in it. The registered model of a data set carries the alias `recommended` on the
model that users are told to take.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from prefect import task
from prefect.cache_policies import NO_CACHE

from itm.core.keys import content_key, metric_name, registered_name
from itm.core.rankings import DataRanking, RankedModel, Ranking
from itm.core.sections import TrackParams
from itm.ranking.recommend import read_recommended
from itm.report.figures import MOST_MODELS, score_against_cost, score_bars
from itm.store.layout import Store
from tasks.track.client import code_commit, experiment, tracking
from tasks.track.tracked import ATTEMPT, Told, Tracked, TrackedRow, begin, remember, telling

ALIAS = "recommended"


@task(name="track", cache_policy=NO_CACHE, persist_result=False)
def track(ranking: Ranking, params: TrackParams, store: Store, reports: Sequence[Path] = ()) -> list[str]:
    """Log a ranking, with `reports` beside it, and return the ids of the parent runs, one a data set."""
    return log_ranking(ranking, params, store, reports)


def log_ranking(ranking: Ranking, params: TrackParams, store: Store, reports: Sequence[Path] = ()) -> list[str]:
    """Log a ranking without an orchestrator around."""
    readable = [data for data in ranking.data_sets if not data.reason]
    recommended = read_recommended(store)
    with tracking(params) as client, telling(store):
        experiments = {data.data: experiment(client, data.data, params) for data in readable}
        told = begin(client, params, store)
        remember(told, store)
        now: dict[str, Tracked] = {}
        holder = None  # the run that holds the files of the whole ranking: they may be many megabytes
        for data in readable:
            one = _log_data(client, experiments[data.data], ranking, data, told, store, reports, holder)
            if holder is None and one.whole == one.parent:
                holder = one.parent
            now[data.data] = one
        remember(replace(told, data_sets=told.data_sets | now, attempt=""), store)
        for data in readable if params.recommend else ():
            if chosen := now[data.data].rows.get(recommended.get(data.data, "")):
                _recommend(client, data, recommended[data.data], chosen.run)
        return [now[data.data].parent for data in readable]


def _log_data(
    client: MlflowClient,
    experiment_id: str,
    ranking: Ranking,
    data: DataRanking,
    told: Told,
    store: Store,
    reports: Sequence[Path],
    holder: str | None,
) -> Tracked:
    """Log one data set: a parent run always, the table and figures if the ranking is another, children that have changed.

    The files of the whole ranking go to the first run that needs them; `holder` is that run, once there is one.
    """
    before, key = told.data_sets.get(data.data), content_key(asdict(data))
    tags = {
        ATTEMPT: told.attempt,
        "data_source": data.source,
        "data_hash": data.hash,
        "rank_by": ranking.rank_by,
        "code_commit": code_commit(),
        "provenance": json.dumps(ranking.provenance, sort_keys=True)[:5000],
    }
    winner = next((row for row in data.rows if row.rank == 1), None)
    if winner:
        tags["first"] = winner.model
    same = before is not None and before.key == key
    if before and same:
        tags["same_ranking_as"] = before.whole
    elif holder:
        tags["whole_ranking"] = holder
    title = f"{winner.model} first of {len(data.rows)}" if winner else f"none of {len(data.rows)} ranked"
    parent = str(client.create_run(experiment_id, run_name=title, tags=tags).info.run_id)
    now = int(time.time() * 1000)
    ranked = [row for row in data.rows if row.status == "ranked"]
    counted = {"models_ranked": len(ranked), "models_failed": len(data.rows) - len(ranked), "images": data.images}
    client.log_batch(parent, metrics=[Metric(name, value, now, 0) for name, value in counted.items()])
    rows = before.rows if before else {}
    if not same:
        rows = {
            row.model: _log_changed(client, experiment_id, parent, told.attempt, row, rows.get(row.model), now)
            for row in data.rows
        }
        for path in () if holder else (store.ranking, store.scores, store.reports / "index.html"):
            client.log_artifact(parent, str(path))
        client.log_table(parent, _columns(data.rows), "ranking_table.json")
        if ranked and len(data.rows) <= MOST_MODELS:  # a picture of more shows only some of them; the page has them all
            for name, draw in (("score_bars.png", score_bars), ("score_against_cost.png", score_against_cost)):
                client.log_figure(parent, draw(data, ranking.rank_by), name)
    for path in reports:
        client.log_artifact(parent, str(path), "changes")
    client.set_terminated(parent, "FINISHED" if ranked else "FAILED")
    return Tracked(parent, before.whole if before and same else parent, key, rows)


def _log_changed(
    client: MlflowClient, experiment_id: str, parent: str, attempt: str, row: RankedModel, before: TrackedRow | None, now: int
) -> TrackedRow:
    """Log a model unless its numbers have been logged; its rank is not among them, since others move it."""
    key = content_key(asdict(replace(row, rank=None, tie_group=None, tied_with_first=False)))
    if before and before.key == key:
        return before
    return TrackedRow(key, _log_model(client, experiment_id, parent, attempt, row, now))


def _log_model(client: MlflowClient, experiment_id: str, parent: str, attempt: str, row: RankedModel, now: int) -> str:
    """Log one model as a child run; a failed one is a failed run with its reason."""
    tags = {MLFLOW_PARENT_RUN_ID: parent, ATTEMPT: attempt, "model": row.model, "weights": row.weights or ""}
    if row.failures:
        tags["failure"] = "; ".join(f"{failure.step}: {failure.reason}" for failure in row.failures)[:5000]
    run = client.create_run(experiment_id, run_name=row.model, tags=tags).info.run_id
    metrics: dict[str, float] = {}
    for name, estimate in row.scores.items():
        metrics |= {name: estimate.value, f"{name}/low": estimate.low, f"{name}/high": estimate.high}
        metrics |= {f"{name}/standard_error": estimate.standard_error}
        metrics |= {f"{name}/{detail}": value for detail, value in estimate.details.items()}
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


def _recommend(client: MlflowClient, data: DataRanking, model: str, run: str) -> None:
    """Move the alias to a model, adding a version only when the model, its weights or the data are others."""
    name = registered_name(f"itm-{data.data}")
    weights = next(row.weights for row in data.rows if row.model == model)
    tags = {"model": model, "weights": weights or "", "data_hash": data.hash}
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
        name, f"runs:/{run}/model", run_id=run, tags=tags, description=f"{model}, weights {weights}"
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
