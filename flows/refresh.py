"""The scheduled flow: rank again what changed, compare with the last refresh, track and version.

A server stores its parameters, so they are plain values. The parameter file is read where the flow runs.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from prefect import flow

from flows.executor import PrefectExecutor
from flows.select import select_after
from flows.server import flow_server, provide_server
from flows.states import opaque, reason
from itm.core.logs import log_to_file, log_to_terminal
from itm.core.params import Params, find_params, with_overrides
from itm.core.processes import descendants, send_signal
from itm.ranking.recommend import read_recommended
from itm.refresh.bump_figure import MOST_REFRESHES
from itm.refresh.changes import compare, options_key
from itm.refresh.history import next_number, read_history, standing, write_refresh
from itm.refresh.lock import refresh_lock
from itm.refresh.page import other_order, write_changes
from itm.refresh.records import DataChange, Refresh
from itm.run.race import compute
from itm.run.speeds import with_speeds
from itm.run.work import counts, work
from itm.store.layout import Store
from tasks.announce import announce
from tasks.steps import ingest, rank
from tasks.track.ranking import track
from tasks.version import version

log = logging.getLogger("itm.flow")

ON_TERMINAL = "ITM_LOG_TO_TERMINAL"  # set where schedules and workers start a refresh


@flow(name="refresh", flow_run_name="refresh of {params}")
def refresh_flow(
    params: str = "params.yaml", within_noise: bool = False, select: str | None = None
) -> tuple[Refresh, tuple[DataChange, ...]]:
    """Rank again what changed of a parameter file, and return the record of the refresh and the changes.

    With `within_noise`, a new winner is recommended even if its lead may be chance. With `select`, the budget of a selection, a
    model is also selected by fine-tuning.
    """
    if os.environ.get(ON_TERMINAL):
        log_to_terminal()
        _end_on_signals()
    chosen = find_params(Path(params))
    chosen = with_overrides(chosen, refresh={"within_noise": within_noise or None, "select": select})
    store = Store(chosen.store, shared=chosen.shared)
    with refresh_lock(store, chosen.refresh.wait):
        number = next_number(store)
        with log_to_file(store.refresh(number) / "log.jsonl", number):
            return _refresh(number, chosen, store)


def _end_on_signals() -> None:
    """End this process at once on SIGTERM and Ctrl-C, without the errors of threads whose interpreter shuts down.

    Everything that is stored is complete, and who started this process tells the server.
    """
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _end)


def _end(number: int, _frame: object) -> None:
    send_signal(descendants(), signal.SIGKILL)
    os._exit(128 + number)


def run(
    params: str = "params.yaml", within_noise: bool = False, select: str | None = None
) -> tuple[Refresh, tuple[DataChange, ...]]:
    """Run the flow; `itm refresh` calls it."""
    with flow_server(provide_server()):
        return refresh_flow(params, within_noise, select)


def _refresh(number: int, params: Params, store: Store) -> tuple[Refresh, tuple[DataChange, ...]]:
    began = time.monotonic()
    started, before, steps = datetime.now(UTC).isoformat(timespec="seconds"), read_history(store, 1), dict[str, float]()
    with _timed("plan", steps):
        planned = ingest(params, store)
    with _timed("compute", steps):
        planned, outcomes = compute(planned, PrefectExecutor(params.runner), store, params)
    log.info("%s", counts(planned, outcomes))
    with _timed("speed", steps):
        outcomes = with_speeds(planned, outcomes, params, store, began)
    with _timed("rank", steps):
        ranking = rank(opaque(planned), opaque(outcomes), params, store)
    recommended = read_recommended(store)
    record = Refresh(
        number=number,
        started=started,
        params=options_key(ranking),
        standings=tuple(standing(data, recommended.get(data.data)) for data in ranking.data_sets),
        work=work(planned, outcomes),
        steps=steps,
    )
    changes = compare(ranking, params.score, recommended, before[-1] if before else None)
    with _timed("report", steps):
        history = read_history(store, MOST_REFRESHES) if any(map(other_order, changes)) else before
        page = write_changes(record, changes, history, store.refresh(number))
    problems = []
    if params.refresh.select:
        with _timed("select", steps):
            problems += select_after(planned, ranking, params, store)
    if params.track.uri:
        with _timed("track", steps):
            tracked = track(opaque(ranking), params.tracking, store, (page, page.with_suffix(".md")), return_state=True)
        problems += [] if tracked.is_completed() else [f"not tracked: {reason(tracked)}"]
    if params.refresh.version:
        with _timed("version", steps):
            versioned = version(store, return_state=True)
        problems += [] if versioned.is_completed() else [f"not versioned: {reason(versioned)}"]
    for problem in problems:
        log.error("%s", problem)
    if problems:
        record = replace(record, problems=tuple(problems))
        write_changes(record, changes, history, store.refresh(number))
    announce(opaque(record), opaque(changes), return_state=True)
    write_refresh(record, store)  # last: an interrupted refresh leaves no record
    return record, changes


@contextmanager
def _timed(step: str, steps: dict[str, float]) -> Iterator[None]:
    began = time.monotonic()
    yield
    steps[step] = round(time.monotonic() - began, 3)
    log.info("%s took %.1f s", step, steps[step], extra={"step": step, "seconds": steps[step]})
