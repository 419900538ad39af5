"""What flows share: who runs their tasks, and what a task that did not complete has to say."""

import logging
from typing import Any

from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner

from itm.errors import told
from itm.params import RunnerParams
from itm.pipeline import share_cores

log = logging.getLogger("itm.flow")


def task_runner(runner: RunnerParams) -> TaskRunner[PrefectFuture[Any]]:
    """Return the task runner that the parameters name."""
    if runner.kind == "processes":
        return ProcessPoolTaskRunner(runner.workers, initializer=share_cores, initargs=(runner.workers,))  # type: ignore[return-value]
    return ThreadPoolTaskRunner(max_workers=runner.workers)  # type: ignore[return-value]


def untracked(state: State[Any], kept: str) -> str:
    """Return what kept a result from being tracked, and where it lies all the same; nothing where it was tracked."""
    if state.is_completed():
        return ""
    problem = f"{reason(state)} ({kept})"
    log.error("not tracked: %s", problem)
    return problem


def reason(state: State[Any]) -> str:
    """Return what a task that did not complete has to say."""
    error = state.result(raise_on_failure=False)
    return told(error) if isinstance(error, Exception) else f"ended as {state.name}: {state.message or 'no message'}"
