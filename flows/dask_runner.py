"""Dask as a runner: a scheduler whose workers may be other machines, or a few processes here."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import dask
from prefect_dask.task_runners import DaskTaskRunner

from itm.params import RunnerParams
from itm.pipeline import THREADS

GPU = "GPU"  # the word by which workers declare their devices: `dask worker --resources GPU=1`


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
            "dashboard_address": None,
            "env": {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
        },
    )


def with_gpu(started: Any) -> AbstractContextManager[object]:
    """Return the context in which submitted tasks each take a GPU, where the workers of a started runner declare some."""
    workers = started.client.scheduler_info(n_workers=-1)["workers"].values()
    return dask.annotate(resources={GPU: 1}) if any(GPU in worker["resources"] for worker in workers) else nullcontext()


def workers(started: Any) -> int:
    """Return how many tasks a started runner works on at once."""
    return sum(started.client.nthreads().values())
