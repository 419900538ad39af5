"""The Prefect executor: every job is a task run of the task runner that the parameters name."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent import futures
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from prefect import Task
from prefect.futures import PrefectFuture
from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner

from flows.states import reason
from itm.core.params import Params, RunnerParams
from itm.core.types import Outcome
from itm.features.devices import share_cores
from itm.run.executors.base import QUEUED, Future, LostWorkerError, check_processes, settle, with_workers
from itm.run.executors.local import begin_worker
from itm.run.stages import Job, Stage
from itm.store.layout import Store
from tasks.steps import extract_pair, finetune_pair, score_models, train_rung

TASKS: Mapping[str, Task[..., Any]] = {
    "extract": extract_pair,
    "score": score_models,
    "finetune": finetune_pair,
    "rung": train_rung,
}

Runner = TaskRunner[PrefectFuture[Any]]


@dataclass(frozen=True)
class PrefectExecutor:
    """Runs jobs as Prefect tasks. The task runner is started again after a worker was lost."""

    runner: RunnerParams

    @contextmanager
    def start(self, pairs: int) -> Iterator["_Started"]:
        runner = with_workers(self.runner, pairs)
        share_cores(runner.workers)
        if runner.kind in ("processes", "dask") and not runner.address:
            check_processes()
        with _task_runner(runner) as started:
            yield _Started(started, runner)


@dataclass(frozen=True)
class _Started:
    started: Runner
    runner: RunnerParams

    @property
    def width(self) -> int:
        if self.runner.kind == "dask":
            from itm.run.executors.dask import jobs_at_once

            return jobs_at_once(_dask_client(self.started))
        return QUEUED * self.runner.workers

    def submit(self, stage: Stage, jobs: Sequence[Job], params: Params, store: Store) -> Future:
        parameters = {"stage": stage, "jobs": jobs, "params": params, "store": store}
        with self._resources(stage):
            submitted = self.started.submit(TASKS[stage.name], parameters=parameters)
        future: Future = futures.Future()
        submitted.add_done_callback(lambda done: settle(future, lambda: _result(done)))
        return future

    def _resources(self, stage: Stage) -> AbstractContextManager[object]:
        """Return the context in which a submitted task takes a GPU, if a Dask worker declares one, or did."""
        if self.runner.kind != "dask" or not stage.on_device:
            return nullcontext()
        import dask

        from itm.run.executors.dask import device_resources

        resources = device_resources(_dask_client(self.started))
        return dask.annotate(resources=resources) if resources else nullcontext()


def _dask_client(started: Any) -> Any:
    from itm.run.executors.dask import scheduler_at

    with scheduler_at(started.address):
        return started.client


def _task_runner(runner: RunnerParams) -> Runner:
    if runner.kind == "dask":
        from prefect_dask.task_runners import DaskTaskRunner

        from itm.run.executors.dask import local_cluster

        if runner.address:
            return DaskTaskRunner(address=runner.address)  # type: ignore[return-value]
        own = local_cluster(runner)
        return DaskTaskRunner(cluster_class="distributed.LocalCluster", cluster_kwargs=own)  # type: ignore[return-value]
    if runner.kind == "processes":
        return ProcessPoolTaskRunner(runner.workers, initializer=begin_worker, initargs=(runner.workers,))  # type: ignore[return-value]
    return ThreadPoolTaskRunner(max_workers=runner.workers)  # type: ignore[return-value]


def _result(done: Any) -> list[Outcome]:
    """Return the result of a task run, or raise its error. It crashes if the pool is broken or the scheduler gave up."""
    try:
        state = done.wrapped_future.result()
    except Exception as error:
        raise LostWorkerError(f"{type(error).__name__}: {error}") from None
    if state.is_crashed() or state.is_cancelled():
        raise LostWorkerError(reason(state))
    outcomes: list[Outcome] = state.result()
    return outcomes
