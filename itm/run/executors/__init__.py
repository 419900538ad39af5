"""Executors: who runs the jobs of a plan. `executor` returns the one that the parameters name."""

from itm.core.params import RunnerParams
from itm.run.executors.base import Executor, LostWorkerError, Running
from itm.run.executors.local import Inline, Processes, Threads

__all__ = ["Executor", "Inline", "LostWorkerError", "Processes", "Running", "Threads", "executor"]


def executor(runner: RunnerParams) -> Executor:
    """Return the executor that `runner` names."""
    if runner.kind == "dask":
        from itm.run.executors.dask import Dask

        return Dask(runner)
    if runner.kind == "processes":
        return Processes(runner.workers)
    return Threads(runner.workers) if runner.kind == "threads" else Inline()
