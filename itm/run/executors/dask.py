"""The Dask executor: a scheduler whose workers may be other machines, or a few processes of this one."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent import futures
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from itm.core.errors import ItmError
from itm.core.extras import MissingExtraError, install_command
from itm.core.params import Params, RunnerParams
from itm.core.secrets import error_message
from itm.core.types import Outcome
from itm.features.devices import THREADS
from itm.run.executors.base import QUEUED, Future, LostWorkerError, check_processes, settle, with_workers
from itm.run.stages import Job, Stage
from itm.store.layout import Store

try:
    import distributed
except ModuleNotFoundError as error:
    raise MissingExtraError(f"runner.kind 'dask' needs distributed; run {install_command('dask')}.") from error

GPU = "GPU"  # how workers declare their devices: `dask worker --resources GPU=1`
_with_gpu: set[str] = set()  # schedulers that have or had a worker with a GPU


class SchedulerError(ItmError):
    """A Dask scheduler does not answer."""


@dataclass(frozen=True)
class Dask:
    """Runs jobs on the scheduler at `runner.address`, or on worker processes of this machine that listen to it alone."""

    runner: RunnerParams

    @contextmanager
    def start(self, pairs: int) -> Iterator["_Started"]:
        """Connect to the scheduler, or start one with its workers."""
        with ExitStack() as stack:
            address = self.runner.address
            if address is None:
                check_processes()
                own = local_cluster(with_workers(self.runner, pairs))
                address = stack.enter_context(distributed.LocalCluster(**own)).scheduler_address
            with scheduler_at(address):
                client = stack.enter_context(distributed.Client(address, set_as_default=False))
            yield _Started(client)


@dataclass(frozen=True)
class _Started:
    client: Any

    @property
    def width(self) -> int:
        return jobs_at_once(self.client)

    def submit(self, stage: Stage, jobs: Sequence[Job], params: Params, store: Store) -> Future:
        resources = device_resources(self.client) if stage.on_device else None
        submitted = self.client.submit(stage.compute, jobs, params, store, pure=False, resources=resources)
        future: Future = futures.Future()
        submitted.add_done_callback(lambda done: settle(future, lambda: _result(done)))
        return future


def _result(done: Any) -> list[Outcome]:
    try:
        return done.result()  # type: ignore[no-any-return]
    except distributed.KilledWorker as error:
        raise LostWorkerError(error_message(error)) from None


def local_cluster(runner: RunnerParams) -> dict[str, Any]:
    """Return the arguments of a LocalCluster whose workers share the cores and listen on the loopback interface alone."""
    threads = str(max(1, THREADS // runner.workers))
    return {
        "n_workers": runner.workers,
        "threads_per_worker": 1,
        "host": "127.0.0.1",
        "silence_logs": logging.ERROR,  # a worker that ends slowly is no warning
        "dashboard_address": "127.0.0.1:0",  # without a dashboard it would still listen, and warn if the usual port is taken
        "env": {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
    }


def jobs_at_once(client: Any) -> int:
    with scheduler_at(client.scheduler.address):
        return QUEUED * max(1, sum(map(int, client.nthreads().values())))


def device_resources(client: Any) -> Mapping[str, int] | None:
    """Return the resources that a job on a device asks for, if any worker declares a GPU or did.

    While the only worker with a GPU restarts, no other worker may take its jobs.
    """
    address = client.scheduler.address
    with scheduler_at(address):
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
    if any(GPU in worker["resources"] for worker in workers):
        _with_gpu.add(address)
    return {GPU: 1} if address in _with_gpu else None


@contextmanager
def scheduler_at(address: str) -> Iterator[None]:
    """Turn an OSError of the block into a SchedulerError, which names the scheduler and says what to do."""
    try:
        yield
    except OSError as error:
        raise SchedulerError(
            f"the Dask scheduler at {address} does not answer ({error_message(error)}); start it and its workers again. "
            "What was computed is stored, and the next run resumes."
        ) from error
