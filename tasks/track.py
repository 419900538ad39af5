"""MLflow logging, from one process after the work: the only module that imports mlflow.

An experiment a data set, a parent run a ranking or a fine-tuning, a child run a model. Metrics are scores or accuracies,
params what one may want as an axis, tags where it all comes from. The registered model of a data set carries the alias
`recommended` on its winner.
"""

import json
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_ENABLE_ASYNC_LOGGING", "false")

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from prefect import task
from prefect.cache_policies import NO_CACHE

from itm.keys import metric_name, registered_name, slug
from itm.params import TrackParams
from itm.report.figures import score_against_cost, score_bars
from itm.store import Store, write_beside
from itm.types import Confirmed, DataRanking, DataRef, Finetuned, RankedModel, Ranking

ALIAS = "recommended"


@task(name="track", cache_policy=NO_CACHE, persist_result=False)
def track(ranking: Ranking, params: TrackParams, store: Store) -> list[str]:
    """Log a ranking and return the ids of the parent runs, one a data set."""
    return log_ranking(ranking, params, store)


def log_ranking(ranking: Ranking, params: TrackParams, store: Store) -> list[str]:
    """Log a ranking without an orchestrator around."""
    client = _client(params)
    readable = [data for data in ranking.data_sets if not data.reason]
    return [_log_data(client, ranking, data, params, store) for data in readable]


@task(name="track fine-tuning", cache_policy=NO_CACHE, persist_result=False)
def track_finetuned(
    finetuned: Sequence[Finetuned],
    confirmed: Sequence[Confirmed],
    data_sets: Sequence[DataRef],
    params: TrackParams,
    store: Store,
) -> list[str]:
    """Log fine-tuned pairs and what they confirm of a ranking, and return the ids of the parent runs, one a data set."""
    client = _client(params)
    parents = []
    for data in data_sets:
        own = [pair for pair in finetuned if pair.data == data.name]
        about = next((one for one in confirmed if one.data == data.name), None)
        if own:
            parents.append(_log_finetuned(client, data, own, about, params, store))
    return parents


def _log_finetuned(
    client: MlflowClient,
    data: DataRef,
    pairs: Sequence[Finetuned],
    confirmed: Confirmed | None,
    params: TrackParams,
    store: Store,
) -> str:
    experiment = _experiment(client, data.name, params)
    tags = {"data_source": data.source, "data_hash": data.hash, "step": "finetune", "code_commit": _commit()}
    if confirmed:
        tags |= {"rank_by": confirmed.rank_by, "ranked_first": confirmed.first, "confirmed": confirmed.pick or "none"}
    done = [pair for pair in pairs if not pair.failure]
    title = f"{len(done)} of {len(pairs)} fine-tuned"
    parent = str(client.create_run(experiment, run_name=title, tags=tags).info.run_id)
    for pair in pairs:
        _log_pair(client, experiment, parent, pair)
    for path in (store.finetuned, *((store.confirmed,) if confirmed else ())):
        client.log_artifact(parent, str(path))
    client.set_terminated(parent, "FINISHED" if done else "FAILED")
    return parent


def _log_pair(client: MlflowClient, experiment: str, parent: str, pair: Finetuned) -> None:
    """Log one fine-tuned model as a child run: mean accuracies, and those of each seed as the steps of a series."""
    tags = {MLFLOW_PARENT_RUN_ID: parent, "model": pair.model, "weights": pair.runs[0].weights if pair.runs else ""}
    if pair.failure:
        tags["failure"] = f"{pair.failure.step}: {pair.failure.reason}"[:5000]
    run = client.create_run(experiment, run_name=pair.model, tags=tags).info.run_id
    now, metrics, chosen = int(time.time() * 1000), [], {}
    for protocol in dict.fromkeys(one.protocol for one in pair.runs):
        own = [one for one in pair.runs if one.protocol == protocol]
        metrics.append(Metric(f"finetuned/{protocol}", sum(one.test_accuracy for one in own) / len(own), now, 0))
        metrics.append(Metric(f"finetuned/{protocol}/val", sum(one.val_accuracy for one in own) / len(own), now, 0))
        metrics += [Metric(f"finetuned/{protocol}/each_seed", one.test_accuracy, now, one.seed) for one in own]
        chosen[f"{protocol}/learning_rate"] = f"{own[0].learning_rate:g}"
    client.log_batch(run, metrics=metrics, params=[Param(name, value) for name, value in chosen.items()])
    client.set_terminated(run, "FAILED" if pair.failure else "FINISHED")


def _client(params: TrackParams) -> MlflowClient:
    if params.uri and params.uri.startswith("sqlite:///"):
        _make_database(Path(params.uri.removeprefix("sqlite:///")))
    return MlflowClient(tracking_uri=params.uri, registry_uri=params.uri)


def _log_data(client: MlflowClient, ranking: Ranking, data: DataRanking, params: TrackParams, store: Store) -> str:
    experiment = _experiment(client, data.data, params)
    tags = {
        "data_source": data.source,
        "data_hash": data.hash,
        "rank_by": ranking.rank_by,
        "code_commit": _commit(),
        "provenance": json.dumps(ranking.provenance, sort_keys=True)[:5000],
    }
    winner = next((row for row in data.rows if row.rank == 1), None)
    if winner:
        tags["recommended"] = winner.model
    title = f"{winner.model} first of {len(data.rows)}" if winner else f"none of {len(data.rows)} ranked"
    parent = client.create_run(experiment, run_name=title, tags=tags).info.run_id
    now = int(time.time() * 1000)
    ranked = [row for row in data.rows if row.status == "ranked"]
    counted = {"models_ranked": len(ranked), "models_failed": len(data.rows) - len(ranked), "images": data.images}
    client.log_batch(parent, metrics=[Metric(name, value, now, 0) for name, value in counted.items()])
    children = {row.model: _log_model(client, experiment, parent, row, now) for row in data.rows}
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


def _log_model(client: MlflowClient, experiment: str, parent: str, row: RankedModel, now: int) -> str:
    """Log one model as a child run; a failed one is a failed run with its reason."""
    tags = {MLFLOW_PARENT_RUN_ID: parent, "model": row.model, "weights": row.weights or ""}
    if row.failures:
        tags["failure"] = "; ".join(f"{failure.step}: {failure.reason}" for failure in row.failures)[:5000]
    run = client.create_run(experiment, run_name=row.model, tags=tags).info.run_id
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


def _make_database(path: Path) -> None:
    """Make a new database whole or not at all, and once: a migration that is killed half way could never be finished."""

    def migrate(temporary: Path) -> None:
        MlflowClient(f"sqlite:///{temporary}").search_experiments()

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if not path.exists():
            write_beside(path, migrate)


def _experiment(client: MlflowClient, name: str, params: TrackParams) -> str:
    found = client.get_experiment_by_name(name)
    if found:
        return str(found.experiment_id)
    location = params.artifacts if "://" in params.artifacts else Path(params.artifacts).resolve().as_uri()
    created = client.create_experiment(
        name, artifact_location=f"{location}/{slug(name)}", tags={"mlflow.experimentKind": "custom_model_development"}
    )
    return str(created)


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


def _commit() -> str:
    """Return the commit of this code, marked where it has been changed since."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        asked = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return asked.stdout.strip()
