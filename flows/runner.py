"""What flows share: who runs their tasks, and what a task that did not complete has to say."""

import logging
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar, cast

from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner
from prefect.utilities.annotations import quote

from itm.core.secrets import hidden, told
from itm.core.sections import RunnerParams
from itm.features.devices import share_cores

log = logging.getLogger("itm.flow")

Runner = TaskRunner[PrefectFuture[Any]]
T = TypeVar("T")


def task_runner(runner: RunnerParams) -> Runner:
    """Return the task runner that the parameters name."""
    if runner.kind == "dask":
        from flows.dask_runner import dask_runner

        return dask_runner(runner)  # type: ignore[no-any-return]
    if runner.kind == "processes":
        return ProcessPoolTaskRunner(runner.workers, initializer=share_cores, initargs=(runner.workers,))  # type: ignore[return-value]
    return ThreadPoolTaskRunner(max_workers=runner.workers)  # type: ignore[return-value]


def on_device(started: Runner, runner: RunnerParams) -> AbstractContextManager[object]:
    """Return the context in which tasks are submitted that need a device, where workers of a started runner declare some."""
    if runner.kind == "dask":
        from flows.dask_runner import with_gpu

        return with_gpu(started)
    return nullcontext()


def ahead(started: Runner, runner: RunnerParams) -> int:
    """Return how many tasks to hand to a started runner at once, so that none of its workers ever waits for the next."""
    if runner.kind == "dask":
        from flows.dask_runner import workers

        return 2 * max(1, workers(started))
    return 2 * runner.workers


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
    return told(error) if isinstance(error, Exception) else hidden(f"ended as {state.name}: {state.message or 'no message'}")


def whole(value: T) -> T:
    """Have Prefect hand a value to a task as it is; looking through thousands of outcomes for futures takes it seconds."""
    return cast(T, quote(value))
