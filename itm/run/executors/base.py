"""The contract of an executor."""

import asyncio
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent import futures
from contextlib import AbstractContextManager
from typing import Protocol

from itm.core.errors import ParamsError, cause, fix
from itm.core.params import Params, RunnerParams
from itm.core.types import Outcome
from itm.run.stages import Job, Stage
from itm.store.layout import Store

QUEUED = 2  # jobs per worker: one runs, one waits
Future = futures.Future[list[Outcome]]


class LostWorkerError(Exception):
    """A worker ended before its job did."""


LOST = (LostWorkerError, futures.BrokenExecutor, futures.CancelledError)  # what a future or `submit` raises then


class Running(Protocol):
    """An executor that has been started."""

    @property
    def width(self) -> int:
        """Return how many jobs to submit at once, so that no worker waits for the next."""

    def submit(self, stage: Stage, jobs: Sequence[Job], params: Params, store: Store) -> Future:
        """Have a worker compute one stage of some jobs.

        The future raises what the stage raised, or one of `LOST` if the worker ended before the jobs did. `submit` itself
        raises one of these if no worker is left.
        """


class Executor(Protocol):
    """Starts and stops workers."""

    def start(self, pairs: int) -> AbstractContextManager[Running]:
        """Start the workers, and stop them when the block ends. After an error, running jobs are not waited for.

        There are no more workers than `pairs`, so that a few pairs can use all cores.
        """


def with_workers(runner: RunnerParams, pairs: int) -> RunnerParams:
    """Return `runner` with no more workers than pairs."""
    return runner.model_copy(update={"workers": min(runner.workers, pairs)})


def check_processes() -> None:
    """Check that worker processes can be started here. Their queues have locks in shared memory.

    Raises
    ------
    ParamsError
        If such a lock cannot be made.
    """
    try:
        multiprocessing.get_context("spawn").Lock()
    except OSError as error:
        raise ParamsError(
            f"worker processes cannot be started here: /dev/shm gives no memory for their locks ({cause(error)}); "
            f"{fix(error)}, or set runner.kind to 'threads'."
        ) from error


def settle(future: Future, result: Callable[[], list[Outcome]]) -> None:
    """Put what `result` returns or raises into `future`."""
    try:
        future.set_result(result())
    except asyncio.CancelledError:
        future.set_exception(LostWorkerError("cancelled"))
    except Exception as error:
        future.set_exception(error)
