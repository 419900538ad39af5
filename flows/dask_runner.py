"""Dask as a runner: a scheduler whose workers may be other machines, or a few processes here."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import dask
from prefect_dask.task_runners import DaskTaskRunner

from itm.core.errors import ItmError
from itm.core.secrets import told
from itm.core.sections import RunnerParams
from itm.features.devices import THREADS

GPU = "GPU"  # the word by which workers declare their devices: `dask worker --resources GPU=1`
_with_gpu: set[str] = set()  # schedulers that had a worker with a GPU: while it starts again, no other takes its work


class SchedulerError(ItmError):
    """A Dask scheduler is not there, or no longer."""


def dask_runner(runner: RunnerParams) -> Any:
    """Return a runner on the scheduler at the address, or on worker processes of this machine that listen to it alone."""
    if runner.address:
        return DaskTaskRunner(address=runner.address)
    threads = str(max(1, THREADS // runner.workers))
    return DaskTaskRunner(
        cluster_class="distributed.LocalCluster",
        cluster_kwargs={
            "n_workers": runner.workers,
            "threads_per_worker": 1,
            "host": "127.0.0.1",
            "dashboard_address": "127.0.0.1:0",  # none at all would still listen, and warn where its usual port is taken
            "env": {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
        },
    )


def with_gpu(started: Any) -> AbstractContextManager[object]:
    """Return the context in which submitted tasks each take a GPU, where workers of a started runner declare some, or did."""
    with _client(started) as client:
        address = client.scheduler.address
        if any(GPU in worker["resources"] for worker in client.scheduler_info(n_workers=-1)["workers"].values()):
            _with_gpu.add(address)
    return dask.annotate(resources={GPU: 1}) if address in _with_gpu else nullcontext()


def workers(started: Any) -> int:
    """Return how many tasks a started runner works on at once."""
    with _client(started) as client:
        return sum(client.nthreads().values())


@contextmanager
def _client(started: Any) -> Iterator[Any]:
    """Give what speaks with the scheduler of a started runner."""
    try:
        yield started.client
    except OSError as error:
        raise SchedulerError(
            f"the Dask scheduler at {started.address} does not answer ({told(error)}); start it and its workers again. "
            "What was computed is stored, and the next run goes on from there."
        ) from error
