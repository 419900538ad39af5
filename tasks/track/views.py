"""The saved views of an experiment in MLflow: the candidates of one ranking of a data set as a table and as charts.

MLflow keeps a saved view as a tag of the experiment, and lists it under "Views" on the page of the runs. The tag has a name, a
time, and the state of the page. The fields are those of the front end of MLflow 3.17; it ignores fields it does not know.
"""

import json
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Experiment
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE as NOTE  # experiments have the same tag

from itm.core.keys import metric_name
from itm.core.rankings import DataRanking
from itm.report.wording import answer
from itm.store.tracked_file import comparison_link, view_key
from tasks.track.tracked import PARAMS, RANKING, STATUS, SUPERSEDED

TAG = "mlflow.sharedViewState."  # before the key of a view
NAME = "Comparison of candidates"
SECTION = "itm-comparison"
NAME_WIDTH = 260  # pixels; the column "Run Name" has a fixed width that cuts the names of most models
OWN_NOTE = "mlflow.itm.description"  # what was written last; MLflow does not show tags that begin with mlflow.


def describe_experiment(client: MlflowClient, experiment_id: str, data: DataRanking, ranking: str | None) -> None:
    """Write the saved view of a ranking and the description of the experiment, if they changed.

    The description is that of the ranking tracked last. A description by the user stays.
    """
    experiment = client.get_experiment(experiment_id)
    if _is_ranked(data):
        view = _view(data, ranking, int(experiment.creation_time or 0))
        _set(client, experiment, TAG + view_key(ranking), view)
    if experiment.tags.get(NOTE) in (None, "", experiment.tags.get(OWN_NOTE)):
        note = _note(data, experiment_id, ranking)
        _set(client, experiment, OWN_NOTE, note)
        _set(client, experiment, NOTE, note)


def _note(data: DataRanking, experiment_id: str, ranking: str | None) -> str:
    """Return the answer with a link to the view. A reloaded page has lost the charts of the view; the link brings them back."""
    found = answer(data)
    address = comparison_link(experiment_id, view_key(ranking), "").lstrip("/")
    link = f" ([compare the candidates]({address}))" if _is_ranked(data) else ""
    return f"{found.lead} {found.pick}{link}{found.rest}"[:2000].replace("<", "&lt;")


def _is_ranked(data: DataRanking) -> bool:
    return any(row.rank for row in data.rows)


def _set(client: MlflowClient, experiment: Experiment, tag: str, value: str) -> None:
    if experiment.tags.get(tag) != value:
        client.set_experiment_tag(experiment.experiment_id, tag, value)


def _view(data: DataRanking, ranking: str | None, created: int) -> str:
    """Return the value of the tag. The runs are sorted by score, because MLflow nests them, and hides children, otherwise."""
    score = metric_name(data.rank_by)
    state = {
        "searchFilter": f"tags.{STATUS} != '{SUPERSEDED}' and tags.{RANKING} = '{ranking or PARAMS}'",
        "orderByKey": _column("metrics", score),
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "selectedColumns": _columns(data),
        "columnOrder": _columns(data),
        "columnWidths": {_column("tags", "model"): NAME_WIDTH},
        "runsHiddenMode": "SHOW_ALL",
        "runListHidden": True,  # of the charts; the list has names only
        "compareRunCharts": _charts(data),
        "compareRunSections": [
            {"uuid": SECTION, "name": NAME, "display": True, "isReordered": True, "deleted": False, "isGenerated": False}
            | {"columns": 2, "cardHeight": 400}
        ],
        "isAccordionReordered": True,  # keeps this section first
    }
    name = f"{NAME} of {ranking}" if ranking else NAME
    return json.dumps({"name": name, "createdAt": created, "state": json.dumps(state)})


def _columns(data: DataRanking) -> list[str]:
    """Return the columns: the full name, scores with the interval of the one ranked by, costs, and the data set."""
    by = metric_name(data.rank_by)
    metrics = [by, f"{by}/low", f"{by}/high", *(name for name in _scores(data) if name != by)]
    metrics += ["latency_ms"] if _has_speed(data) else []
    params = ["params_m", "gmacs", "family", "pretraining"] if _has_facts(data) else []
    columns = [_column("tags", "model"), *(_column("metrics", name) for name in metrics)]
    return [*columns, *(_column("params", name) for name in params), _column("attributes", "Dataset")]


def _charts(data: DataRanking) -> list[dict[str, Any]]:
    """Return parallel coordinates of the scores, and the score against latency and against parameters."""
    score = metric_name(data.rank_by)
    axes = [("latency", {"key": "latency_ms", "type": "METRIC"})] if _has_speed(data) else []
    axes += [("parameters", {"key": "params_m", "type": "PARAM"})] if _has_facts(data) else []
    parallel: dict[str, Any] = {"type": "PARALLEL", "selectedMetrics": _scores(data), "selectedParams": [], "showAllRuns": True}
    scatter = [
        {"type": "SCATTER", "displayName": f"{score} against {what}", "xaxis": axis, "yaxis": {"key": score, "type": "METRIC"}}
        for what, axis in axes
    ]
    common: dict[str, Any] = {"metricSectionId": SECTION, "deleted": False, "isGenerated": False, "runsCountToCompare": 1000}
    return [{"uuid": f"itm-{number}", **common, **chart} for number, chart in enumerate([parallel, *scatter])]


def _scores(data: DataRanking) -> list[str]:
    """Return the metrics of all scores. The score ranked by is last: it decides the colours of parallel coordinates."""
    names = dict.fromkeys(name for row in data.rows for name in row.scores if name != data.rank_by)
    return [metric_name(name) for name in (*names, data.rank_by)]


def _column(kind: str, name: str) -> str:
    return f"{kind}.`{name}`"


def _has_speed(data: DataRanking) -> bool:
    return any(row.speed for row in data.rows)


def _has_facts(data: DataRanking) -> bool:
    return any(row.facts for row in data.rows)
