"""One candidate of a ranking in MLflow: a child run, and a logged model whose metrics are linked to the data set."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelOutput, Metric, Param, RunTag
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT, MLFLOW_PARENT_RUN_ID

from itm.core.keys import content_key, metric_name
from itm.core.rankings import DataRanking, RankedModel
from itm.core.types import DataRef
from itm.store.tracked_file import TrackedRow
from tasks.track.client import LONGEST_NAME
from tasks.track.tracked import ATTEMPT, PARAMS, RANKING, STATUS

DIGEST = 12  # characters of the hash of a data set; MLflow takes 36
PREDICTED = "predicted_accuracy"
COSTS = ("latency_ms", "images_per_second", "memory_mb")  # of a logged model; they do not depend on the data set


@dataclass(frozen=True)
class Destination:
    """Where the candidates of a data set are logged. `origin` has the tags of who logs what code."""

    experiment: str
    parent: str
    ranking: str
    attempt: str
    data: DataRanking
    origin: Mapping[str, str]
    now: int


def data_input(data: DataRanking | DataRef) -> DatasetInput:
    """Return a data set as the input of a run. Its digest is the beginning of the hash of its index."""
    name = data.name if isinstance(data, DataRef) else data.data
    scheme, colon, _ = data.source.partition(":")
    own = Dataset(
        name=name[:LONGEST_NAME],
        digest=data.hash[:DIGEST] or "unknown",
        source_type=scheme if colon else "embedded",
        source=json.dumps({"uri": data.source[:5000]}),
        profile=json.dumps({"num_rows": data.images}),
    )
    return DatasetInput(own, [InputTag(MLFLOW_DATASET_CONTEXT, "ranking")])


def log_changed(client: MlflowClient, row: RankedModel, before: TrackedRow | None, where: Destination) -> TrackedRow:
    """Log a model unless its values have been logged. The rank does not count, because it depends on other models."""
    key = content_key([where.data.hash, asdict(replace(row, rank=None, tie_group=None, tied_with_first=False))])
    if before and before.key == key:
        return before
    run, logged_model = _log_model(client, row, where)
    return TrackedRow(key, run, logged_model)


def _log_model(client: MlflowClient, row: RankedModel, where: Destination) -> tuple[str, str]:
    """Log one model as a child run, and a ranked one as a logged model. A failed model is a failed run with its reason."""
    own = {ATTEMPT: where.attempt, RANKING: where.ranking, "model": row.model, "weights": row.weights or ""}
    tags = {MLFLOW_PARENT_RUN_ID: where.parent, **where.origin, **own}
    if row.failures:
        tags["failure"] = "; ".join(f"{failure.step}: {failure.reason}" for failure in row.failures)[:5000]
    run = str(client.create_run(where.experiment, run_name=row.model[:LONGEST_NAME], tags=tags).info.run_id)
    axes, data = _axes(row), data_input(where.data)
    logged_model = None
    if row.status == "ranked":
        name = _model_name(row.model, where.ranking)
        created = client.create_logged_model(where.experiment, name, run, own, axes, "vision backbone")
        logged_model = str(created.model_id)
    client.log_batch(
        run,
        metrics=_metrics(row, where, data.dataset, logged_model),
        params=[Param(name, value) for name, value in axes.items()],
        tags=[RunTag(STATUS, row.status)],
    )
    client.log_inputs(run, [data])
    if logged_model:
        client.log_outputs(run, [LoggedModelOutput(logged_model, 0)])
        client.finalize_logged_model(logged_model, "READY")
    client.set_terminated(run, "FINISHED" if row.status == "ranked" else "FAILED")
    return run, logged_model or ""


def _metrics(row: RankedModel, where: Destination, data: Dataset, logged_model: str | None) -> list[Metric]:
    """Return all metrics of a run. The logged model has the scores, the interval of the one ranked by, and the costs."""
    details: dict[str, float] = {}
    for name, estimate in row.scores.items():
        details |= {name: estimate.value, f"{name}/low": estimate.low, f"{name}/high": estimate.high}
        details |= {f"{name}/standard_error": estimate.standard_error}
        details |= {f"{name}/{detail}": value for detail, value in estimate.details.items()}
    details |= _predicted(row)
    scores = {*row.scores, *_predicted(row), f"{where.data.rank_by}/low", f"{where.data.rank_by}/high"}
    linked = {"model_id": logged_model, "dataset_name": data.name, "dataset_digest": data.digest}
    return [
        Metric(metric_name(name), value, where.now, 0, **(linked if logged_model and name in scores else {}))
        for name, value in details.items()
    ] + [
        Metric(name, value, where.now, 0, model_id=logged_model if name in COSTS else None)
        for name, value in _costs(row).items()
    ]


def _predicted(row: RankedModel) -> dict[str, float]:
    if not (own := row.predicted):
        return {}
    return {PREDICTED: own.value, f"{PREDICTED}/low": own.low, f"{PREDICTED}/high": own.high}


def _costs(row: RankedModel) -> dict[str, float]:
    if not row.speed:
        return {}
    costs = {"latency_ms": row.speed.latency_ms, "images_per_second": row.speed.images_per_second}
    costs |= {"memory_mb": row.speed.memory / 1e6}
    return costs | ({"finetune_memory_mb": row.speed.finetune_memory / 1e6} if row.speed.finetune_memory else {})


def _axes(row: RankedModel) -> dict[str, str]:
    """Return the properties that can be the axis of a plot."""
    if not (facts := row.facts):
        return {}
    axes: dict[str, Any] = {"family": facts.family, "pretraining": facts.pretraining}
    axes |= {"params_m": round(facts.parameters / 1e6, 3), "width": facts.width, "image_size": facts.input_size}
    axes |= {"gmacs": round(facts.gmacs, 4)} if facts.gmacs is not None else {}
    axes |= {"speed_device": row.speed.device} if row.speed else {}
    return {name: str(value) for name, value in axes.items()}


def _model_name(model: str, ranking: str) -> str:
    """Return a name that MLflow accepts for a logged model. Its tag `model` has the exact name.

    It ends with the name of a trial, because the page "Models" of a data set lists the models of all rankings.
    """
    name, end = (re.sub(r"[/:.%\"']", "-", text) for text in (model, "" if ranking == PARAMS else f" ({ranking})"))
    return name[: LONGEST_NAME - len(end)] + end
