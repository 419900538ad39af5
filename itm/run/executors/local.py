"""Executors on this machine: inline, threads and processes."""

import ctypes
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.context import BaseContext

from itm.core.params import Params
from itm.core.types import Outcome
from itm.features.devices import share_cores
from itm.run.executors.base import QUEUED, Future, check_processes, settle
from itm.run.stages import Job, Stage
from itm.store.layout import Store


@dataclass(frozen=True)
class Inline:
    """Runs every job at once, in the calling thread."""

    width: int = 1

    @contextmanager
    def start(self, pairs: int) -> Iterator["Inline"]:  # noqa: ARG002
        """Use all cores for the calling thread."""
        share_cores(1)
        yield self

    def submit(self, stage: Stage, jobs: Sequence[Job], params: Params, store: Store) -> Future:
        """Run the jobs and return a future that is done."""
        future: Future = futures.Future()
        settle(future, lambda: stage.compute(jobs, params, store))
        return future


@dataclass(frozen=True)
class _Pool:
    """A pool of `concurrent.futures` that has been started."""

    pool: futures.Executor
    width: int

    def submit(self, stage: Stage, jobs: Sequence[Job], params: Params, store: Store) -> Future:
        return self.pool.submit(stage.compute, jobs, params, store)


@dataclass(frozen=True)
class _Threads(_Pool):
    """A pool of threads, whose running jobs can be interrupted."""

    busy: set[int] = field(default_factory=set)

    def submit(self, stage: Stage, jobs: Sequence[Job], params: Params, store: Store) -> Future:
        return self.pool.submit(self._compute, stage, jobs, params, store)

    def _compute(self, stage: Stage, jobs: Sequence[Job], params: Params, store: Store) -> list[Outcome]:
        self.busy.add(threading.get_ident())
        try:
            return stage.compute(jobs, params, store)
        finally:
            self.busy.discard(threading.get_ident())

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt in the threads that run jobs. It is raised once they return from compiled code."""
        for thread in list(self.busy):
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(KeyboardInterrupt))


@dataclass(frozen=True)
class Threads:
    """Runs jobs in threads, each with its share of the cores."""

    workers: int

    @contextmanager
    def start(self, pairs: int) -> Iterator[_Pool]:
        """Start the threads. After an error, jobs are dropped or interrupted."""
        workers = min(self.workers, pairs)
        share_cores(workers)
        pool = _Threads(futures.ThreadPoolExecutor(workers, thread_name_prefix="itm"), QUEUED * workers)
        with _shut_down(pool.pool, pool.interrupt):
            yield pool


@dataclass(frozen=True)
class Processes:
    """Runs jobs in processes, each with its share of the cores."""

    workers: int

    @contextmanager
    def start(self, pairs: int) -> Iterator[_Pool]:
        """Start the processes. After an error, they are terminated."""
        check_processes()
        before = set(multiprocessing.active_children())
        workers = min(self.workers, pairs)
        pool = futures.ProcessPoolExecutor(workers, _context(), initializer=begin_worker, initargs=(workers,))

        def terminate() -> None:
            for process in set(multiprocessing.active_children()) - before:
                process.terminate()

        with _shut_down(pool, terminate):
            yield _Pool(pool, QUEUED * workers)


@contextmanager
def _shut_down(pool: futures.Executor, stop: Callable[[], None]) -> Iterator[None]:
    """Shut a pool down when the block ends: wait for its jobs, or `stop` them after an error."""
    try:
        yield
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        stop()
        raise
    pool.shutdown()


def _context() -> BaseContext:
    """Return how processes are started. The fork server imports torch once for all of them."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def begin_worker(workers: int) -> None:
    """Prepare a worker process. It ends silently with Ctrl-C, and with the process that started it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    share_cores(workers)
    if parent := multiprocessing.parent_process():
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)
