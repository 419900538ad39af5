"""Selections in MLflow: one parent run per data set with the search over time, one child run per model with its curves."""

import time
from collections.abc import Sequence
from dataclasses import asdict, replace

from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NOTE
from prefect import task
from prefect.cache_policies import NO_CACHE

from itm.core.keys import content_key
from itm.core.params import TrackParams
from itm.core.selections import PredictedModel, Selection
from itm.selection.budget import budget_text
from itm.selection.text import answer_text
from itm.store.layout import Store
from tasks.track.client import LONGEST_NAME, get_experiment, open_client, origin

KEY = "selection"  # tag with the key of a selection, which is logged once


@task(name="track selection", cache_policy=NO_CACHE, persist_result=False)
def track_selected(selections: Sequence[Selection], params: TrackParams, store: Store) -> list[str]:
    """Log selections that are not logged yet. Return the ids of the parent runs, one per data set."""
    with open_client(params) as client:
        return [_log_selection(client, selection, params, store) for selection in selections]


def _log_selection(client: MlflowClient, selection: Selection, params: TrackParams, store: Store) -> str:
    experiment_id = get_experiment(client, selection.data, params)
    key = content_key(asdict(replace(selection, spent=0.0, grid_seconds=None)))
    if logged := client.search_runs([experiment_id], filter_string=f"tags.{KEY} = '{key}'", max_results=1):
        return str(logged[0].info.run_id)
    tags = {
        "data_source": selection.source,
        "data_hash": selection.data_hash,
        "step": "select",
        "selected": selection.pick or "none",
        MLFLOW_RUN_NOTE: answer_text(selection),
        **origin(),
    }
    title = f"selected {selection.pick or 'no model'}"[:LONGEST_NAME]
    parent = str(client.create_run(experiment_id, run_name=title, tags=tags).info.run_id)
    now = int(time.time() * 1000)
    metrics = [own for state in selection.states for own in _state_metrics(state.at, asdict(state), now)]
    settings = {"budget": budget_text(selection.budget), "protocol": selection.protocol, "stop": selection.stop}
    if selection.recipe:
        settings["learning_rate"] = f"{selection.recipe.learning_rate:g}"
    client.log_batch(parent, metrics=metrics, params=[Param(name, value) for name, value in settings.items()])
    if selection.test is not None:
        client.log_metric(parent, "test_accuracy", selection.test)
    for row in selection.models:
        _log_model(client, experiment_id, parent, selection, row, now)
    for path in (store.selection, store.reports / "selection.html"):
        if path.exists():
            client.log_artifact(parent, str(path))
    client.set_tag(parent, KEY, key)  # last: an interrupted one is logged again
    client.set_terminated(parent, "FINISHED" if selection.pick else "FAILED")
    return parent


def _state_metrics(at: float, values: dict[str, float], now: int) -> list[Metric]:
    """Return the answer after so many seconds, as a step of series over the seconds of the search."""
    names = ("accuracy", "low", "high", "chance_best", "regret", "candidates")
    return [Metric(f"search/{name}", float(values[name]), now, round(at)) for name in names]


def _log_model(
    client: MlflowClient, experiment_id: str, parent: str, selection: Selection, row: PredictedModel, now: int
) -> None:
    """Log one model: its prediction, and the learning curve of each run by learning rate and seed."""
    tags = {MLFLOW_PARENT_RUN_ID: parent, "model": row.model, "weights": row.weights or "", "step": "select"}
    run = client.create_run(experiment_id, run_name=row.model[:LONGEST_NAME], tags=tags).info.run_id
    values = {"accuracy": row.accuracy, "low": row.low, "high": row.high, "chance_best": row.chance_best}
    metrics = [Metric(f"predicted/{name}", value, now, 0) for name, value in values.items()]
    if row.reached is not None:
        metrics.append(Metric(f"finetuned/{selection.protocol}", row.reached, now, 0))
    for curve in selection.curves:
        if curve.model == row.model:
            name = f"val_accuracy/rate {curve.learning_rate:g}/seed {curve.seed}"
            metrics += [Metric(name, accuracy, now, step) for step, accuracy in curve.marks]
    client.log_batch(run, metrics=metrics)
    client.set_terminated(run, "FINISHED")
