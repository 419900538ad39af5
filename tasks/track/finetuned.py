"""Fine-tuned models in MLflow: one parent run per data set, one child run per model."""

import time
from collections.abc import Sequence

from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NOTE
from prefect import task
from prefect.cache_policies import NO_CACHE

from itm.core.confirmations import Confirmed
from itm.core.params import TrackParams
from itm.core.types import DataRef, Outcome
from itm.ranking.recommend import read_recommended
from itm.report.confirmation import verdict
from itm.store.layout import Store
from itm.store.ranking_file import read_ranking
from tasks.track.client import LONGEST_NAME, get_experiment, open_client, origin
from tasks.track.registered import register
from tasks.track.tracked import tracking_lock


@task(name="track fine-tuning", cache_policy=NO_CACHE, persist_result=False)
def track_finetuned(
    finetuned: Sequence[Outcome],
    confirmed: Sequence[Confirmed],
    data_sets: Sequence[DataRef],
    params: TrackParams,
    store: Store,
) -> list[str]:
    """Log fine-tuned models and confirmed rankings. Return the ids of the parent runs, one per data set."""
    parents = []
    with open_client(params) as client:
        for data in data_sets:
            own = [pair for pair in finetuned if pair.data == data.name]
            confirmation = next((other for other in confirmed if other.data == data.name), None)
            if own:
                parents.append(_log_finetuned(client, data, own, confirmation, params, store))
                if params.recommend:
                    _register(client, data, own, parents[-1], store)
    return parents


def _register(client: MlflowClient, data: DataRef, pairs: Sequence[Outcome], run: str, store: Store) -> None:
    """Register the recommended model of a ranked data set again if it is among the fine-tuned ones."""
    model = read_recommended(store).get(data.name)
    if store.ranking.exists() and any(pair.model == model and pair.runs for pair in pairs):
        ranking = read_ranking(store)
        ranked = next((own for own in ranking.data_sets if (own.data, own.hash) == (data.name, data.hash)), None)
        if ranked and model:
            with tracking_lock(store):
                register(client, ranking, ranked, model, run, store)


def _log_finetuned(
    client: MlflowClient,
    data: DataRef,
    pairs: Sequence[Outcome],
    confirmed: Confirmed | None,
    params: TrackParams,
    store: Store,
) -> str:
    experiment_id = get_experiment(client, data.name, params)
    tags = {"data_source": data.source, "data_hash": data.hash, "step": "finetune", **origin()}
    if confirmed:
        tags |= {"rank_by": confirmed.rank_by, "ranked_first": confirmed.first, "confirmed": confirmed.pick or "undecided"}
        tags[MLFLOW_RUN_NOTE] = verdict(confirmed)
    done = [pair for pair in pairs if not pair.failures]
    title = f"{len(done)} of {len(pairs)} fine-tuned"
    parent = str(client.create_run(experiment_id, run_name=title, tags=tags).info.run_id)
    for pair in pairs:
        _log_pair(client, experiment_id, parent, pair)
    for path in (store.finetuned, *((store.confirmed,) if confirmed else ())):
        client.log_artifact(parent, str(path))
    client.set_terminated(parent, "FINISHED" if done else "FAILED")
    return parent


def _log_pair(client: MlflowClient, experiment_id: str, parent: str, pair: Outcome) -> None:
    """Log one model as a child run: mean metrics, and the metric of each seed as a step."""
    tags = {MLFLOW_PARENT_RUN_ID: parent, "model": pair.model, "weights": pair.runs[0].weights if pair.runs else ""}
    if pair.failures:
        tags["failure"] = pair.reason[:5000]
    run = client.create_run(experiment_id, run_name=pair.model[:LONGEST_NAME], tags=tags).info.run_id
    now, metrics, chosen = int(time.time() * 1000), [], {}
    for protocol in dict.fromkeys(own.protocol for own in pair.runs):
        runs = [own for own in pair.runs if own.protocol == protocol]
        metrics.append(Metric(f"finetuned/{protocol}", sum(own.test_accuracy for own in runs) / len(runs), now, 0))
        metrics.append(Metric(f"finetuned/{protocol}/val", sum(own.val_accuracy for own in runs) / len(runs), now, 0))
        metrics += [Metric(f"finetuned/{protocol}/each_seed", own.test_accuracy, now, own.seed) for own in runs]
        if pixels := [own.test_pixel_accuracy for own in runs if own.test_pixel_accuracy is not None]:
            metrics.append(Metric(f"finetuned/{protocol}/pixel_accuracy", sum(pixels) / len(pixels), now, 0))
        chosen[f"{protocol}/learning_rate"] = f"{runs[0].learning_rate:g}"
    client.log_batch(run, metrics=metrics, params=[Param(name, value) for name, value in chosen.items()])
    client.set_terminated(run, "FAILED" if pair.failures else "FINISHED")
