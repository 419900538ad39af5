"""Fine-tuned pairs in MLflow: a parent run a data set beside those of its rankings, a child run a model."""

import time
from collections.abc import Sequence

from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from prefect import task
from prefect.cache_policies import NO_CACHE

from itm.core.sections import TrackParams
from itm.core.types import DataRef
from itm.finetune.records import Confirmed, Finetuned
from itm.store.layout import Store
from tasks.track.client import code_commit, experiment, tracking


@task(name="track fine-tuning", cache_policy=NO_CACHE, persist_result=False)
def track_finetuned(
    finetuned: Sequence[Finetuned],
    confirmed: Sequence[Confirmed],
    data_sets: Sequence[DataRef],
    params: TrackParams,
    store: Store,
) -> list[str]:
    """Log fine-tuned pairs and what they confirm of a ranking, and return the ids of the parent runs, one a data set."""
    parents = []
    with tracking(params) as client:
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
    experiment_id = experiment(client, data.name, params)
    tags = {"data_source": data.source, "data_hash": data.hash, "step": "finetune", "code_commit": code_commit()}
    if confirmed:
        tags |= {"rank_by": confirmed.rank_by, "ranked_first": confirmed.first, "confirmed": confirmed.pick or "none"}
    done = [pair for pair in pairs if not pair.failure]
    title = f"{len(done)} of {len(pairs)} fine-tuned"
    parent = str(client.create_run(experiment_id, run_name=title, tags=tags).info.run_id)
    for pair in pairs:
        _log_pair(client, experiment_id, parent, pair)
    for path in (store.finetuned, *((store.confirmed,) if confirmed else ())):
        client.log_artifact(parent, str(path))
    client.set_terminated(parent, "FINISHED" if done else "FAILED")
    return parent


def _log_pair(client: MlflowClient, experiment_id: str, parent: str, pair: Finetuned) -> None:
    """Log one fine-tuned model as a child run: mean accuracies, and those of each seed as the steps of a series."""
    tags = {MLFLOW_PARENT_RUN_ID: parent, "model": pair.model, "weights": pair.runs[0].weights if pair.runs else ""}
    if pair.failure:
        tags["failure"] = f"{pair.failure.step}: {pair.failure.reason}"[:5000]
    run = client.create_run(experiment_id, run_name=pair.model, tags=tags).info.run_id
    now, metrics, chosen = int(time.time() * 1000), [], {}
    for protocol in dict.fromkeys(one.protocol for one in pair.runs):
        own = [one for one in pair.runs if one.protocol == protocol]
        metrics.append(Metric(f"finetuned/{protocol}", sum(one.test_accuracy for one in own) / len(own), now, 0))
        metrics.append(Metric(f"finetuned/{protocol}/val", sum(one.val_accuracy for one in own) / len(own), now, 0))
        metrics += [Metric(f"finetuned/{protocol}/each_seed", one.test_accuracy, now, one.seed) for one in own]
        chosen[f"{protocol}/learning_rate"] = f"{own[0].learning_rate:g}"
    client.log_batch(run, metrics=metrics, params=[Param(name, value) for name, value in chosen.items()])
    client.set_terminated(run, "FAILED" if pair.failure else "FINISHED")
