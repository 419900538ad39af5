"""Rankings in MLflow: one experiment per data set, one parent run per ranking, one child run and logged model per candidate.

An unchanged ranking adds no run: its parent run gets the time as the tag `ranked_again`. An unchanged model is not logged
again, so logging a large zoo costs no more than its new models. Its child run stays below the first ranking with the same
values; the child run that it replaces is marked as superseded. In the registered model of a data set, the alias `recommended`
marks the model to fine-tune.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE
from prefect import task
from prefect.cache_policies import NO_CACHE

from itm.core.keys import content_key
from itm.core.params import TrackParams
from itm.core.rankings import DataRanking, RankedModel, Ranking
from itm.ranking.recommend import read_recommended
from itm.report.figures import MOST_MODELS, score_against_cost, score_bars, write_png
from itm.report.note import ranking_note
from itm.store.layout import Store
from itm.store.tracked_file import Tracked, TrackedState, write_tracked
from tasks.track.candidates import Destination, data_input, log_changed
from tasks.track.client import LONGEST_NAME, get_experiment, open_client, origin
from tasks.track.registered import register
from tasks.track.tracked import ATTEMPT, PARAMS, RANKING, exists, start_attempt, supersede, tracking_lock
from tasks.track.views import describe_experiment


@task(name="track", cache_policy=NO_CACHE, persist_result=False)
def track(ranking: Ranking, params: TrackParams, store: Store, reports: Sequence[Path] = ()) -> list[str]:
    """Log a ranking and the files `reports`. Return the ids of the parent runs, one per data set."""
    recommended = read_recommended(store)
    with open_client(params) as client, tracking_lock(store):
        experiments = {data.data: get_experiment(client, data.data, params) for data in ranking.data_sets}
        state = start_attempt(client, experiments, params, store)
        write_tracked(state, store)
        logged: dict[str, Tracked] = {}
        holder = None  # run with the files of the whole ranking, which can be many megabytes
        for data in ranking.data_sets:
            before, key = state.data_sets.get(data.data), content_key(asdict(data))
            if before and before.key == key and (data.reason or _is_complete(before, data)):
                tracked = before
                client.set_tag(tracked.parent, "ranked_again", datetime.now(UTC).isoformat(timespec="seconds"))
                for path in reports:
                    client.log_artifact(tracked.parent, str(path), "changes")
            else:
                tracked = _log_data(client, experiments[data.data], ranking, data, state, key, store, reports, holder)
                holder = holder or tracked.parent
                supersede(client, before.rows if before else {}, tracked.rows, experiments[data.data])
            describe_experiment(client, experiments[data.data], data, store.ranking_name)
            logged[data.data] = tracked
        write_tracked(replace(state, data_sets=state.data_sets | logged, attempt=""), store)
        for data in ranking.data_sets if params.recommend else ():
            tracked = logged[data.data]
            if row := tracked.rows.get(recommended.get(data.data, "")):
                is_there = exists(client, row.run, experiments[data.data])
                register(client, ranking, data, recommended[data.data], row.run if is_there else tracked.parent, store)
        return [tracked.parent for tracked in logged.values()]


def _is_complete(before: Tracked, data: DataRanking) -> bool:
    """Return whether every model of a ranking is logged and still exists."""
    return all((row := before.rows.get(one.model)) and row.key for one in data.rows)


def _log_data(
    client: MlflowClient,
    experiment_id: str,
    ranking: Ranking,
    data: DataRanking,
    state: TrackedState,
    key: str,
    store: Store,
    reports: Sequence[Path],
    holder: str | None,
) -> Tracked:
    """Log one data set: a parent run with note, table and figures, and child runs of the models that changed.

    The files of the whole ranking are logged once, to the run `holder`, or to this run if there is none. A data set that failed
    is a failed run with its reason.
    """
    before = state.data_sets.get(data.data)
    tags = {
        ATTEMPT: state.attempt,
        MLFLOW_RUN_NOTE: ranking_note(data),
        RANKING: store.ranking_name or PARAMS,
        "data_source": data.source[:5000],
        "data_hash": data.hash,
        "rank_by": data.rank_by,
        **origin(),
        "provenance": json.dumps(ranking.provenance, sort_keys=True)[:5000],
    }
    ranked = [row for row in data.rows if row.status == "ranked"]
    counts: dict[str, float] = {"models_ranked": len(ranked), "models_failed": len(data.rows) - len(ranked)}
    counts["images"] = data.images
    title = f"none of {len(data.rows)} ranked"
    if winner := next((row for row in data.rows if row.rank == 1 and row.estimate), None):
        assert winner.estimate
        title = f"{winner.model[: LONGEST_NAME - 50]} first of {len(data.rows)}"
        tags["best_model"] = winner.model
        best = winner.estimate
        counts |= {"best_score": best.value, "best_score/low": best.low, "best_score/high": best.high}
    if data.reason:
        tags["failure"] = data.reason[:5000]
    if holder:
        tags["whole_ranking"] = holder
    parent = str(client.create_run(experiment_id, run_name=title, tags=tags).info.run_id)
    now = int(time.time() * 1000)
    client.log_batch(parent, metrics=[Metric(name, value, now, 0) for name, value in counts.items()])
    client.log_inputs(parent, [data_input(data)])
    rows = before.rows if before else {}
    if not data.reason:
        where = Destination(experiment_id, parent, tags[RANKING], state.attempt, data, origin(), now)
        # the best is logged last, because MLflow shows what is new first
        rows = {row.model: log_changed(client, row, rows.get(row.model), where) for row in reversed(data.rows)}
        client.log_table(parent, _columns(data.rows), "ranking_table.json")
    for path in () if holder else (store.ranking, store.scores, store.reports / "index.html"):
        client.log_artifact(parent, str(path))
    if ranked and len(data.rows) <= MOST_MODELS:  # figures show only some of more models; the page has all
        _log_figures(client, parent, data)
    for path in reports:
        client.log_artifact(parent, str(path), "changes")
    client.set_terminated(parent, "FINISHED" if ranked else "FAILED")
    return Tracked(parent, key, rows, experiment_id)


def _log_figures(client: MlflowClient, run: str, data: DataRanking) -> None:
    with TemporaryDirectory() as folder:
        for name, draw in (("score_bars.png", score_bars), ("score_against_cost.png", score_against_cost)):
            write_png(Path(folder) / name, draw(data))
            client.log_artifact(run, str(Path(folder) / name))


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
