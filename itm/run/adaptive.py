"""Jobs that are chosen one by one: what is computed next depends on the results so far.

The engine knows all its jobs before it begins. Here a source is asked whenever a worker is free, and gets every result before
it chooses again. Executors, stages and failures are those of the engine.
"""

import logging
from collections import Counter, deque
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Protocol

from itm.core.errors import is_expected
from itm.core.params import Params
from itm.core.secrets import error_message
from itm.core.types import Failure, Outcome
from itm.features.devices import trim_memory
from itm.run.executors.base import LOST, QUEUED, Executor, Future, Running
from itm.run.stages import Job, Stage
from itm.store.layout import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Task:
    """One stage of one job."""

    stage: Stage
    job: Job


class TaskSource(Protocol):
    """Chooses the next task from the results of those before."""

    def next(self) -> Task | None:
        """Return the next task, or None if there is nothing to do before another result."""

    def take(self, task: Task, outcome: Outcome) -> None:
        """Take the outcome of a task. If the task failed, its last failure says why."""


def pursue(source: TaskSource, executor: Executor, params: Params, store: Store) -> None:
    """Run the tasks of `source` until it has none and none is running.

    At most one task per worker is running, so each choice knows all results. An error of a task is a failure in its outcome.
    A task whose worker was lost is repeated, alone, `runner.attempts` times in all.
    """
    tasks = _Tasks(source, params, store)
    is_over = False
    while not is_over:
        with executor.start(params.runner.workers) as running:
            is_over = tasks.run(running)
        trim_memory()


class _Tasks:
    """The tasks of a source, across restarts of an executor."""

    def __init__(self, source: TaskSource, params: Params, store: Store) -> None:
        self.source, self.params, self.store = source, params, store
        self.done: SimpleQueue[tuple[Task, Future]] = SimpleQueue()
        self.running = 0
        self.suspects: deque[Task] = deque()
        self.losses: Counter[Task] = Counter()

    def run(self, running: Running) -> bool:
        """Run tasks until none is left, and return true; or until a worker is lost."""
        is_lost = False
        while True:
            while not is_lost and (task := self._next(max(1, running.width // QUEUED))):
                is_lost = self._submit(task, running)
            if not self.running:
                return not is_lost
            is_lost |= self._take(*self.done.get())

    def _next(self, width: int) -> Task | None:
        """Return the next task if a worker is free. One whose worker was lost before runs alone."""
        if self.suspects:
            return None if self.running else self.suspects.popleft()
        return self.source.next() if self.running < width else None

    def _submit(self, task: Task, running: Running) -> bool:
        """Submit a task. Return whether no worker is left."""
        try:
            future = running.submit(task.stage, [task.job], self.params, self.store)
        except LOST as error:
            log.warning("no worker is left (%s); starting again", error_message(error))
            self.suspects.append(task)
            return True
        self.running += 1
        future.add_done_callback(lambda done: self.done.put((task, done)))
        return False

    def _take(self, task: Task, future: Future) -> bool:
        """Give the outcome of a task to the source. Return whether its worker was lost."""
        self.running -= 1
        try:
            (outcome,) = future.result()
        except LOST as error:
            self._lose(task, error_message(error) or type(error).__name__)
            return True
        except Exception as error:
            log.error("%s on %s: %s", *task.job.key, error_message(error), exc_info=None if is_expected(error) else error)
            outcome = _failed(task, error_message(error))
        self.source.take(task, outcome)
        return False

    def _lose(self, task: Task, message: str) -> None:
        """Count a loss. A task whose worker was lost too often fails: it may be what takes workers down."""
        log.warning("a worker was lost (%s); %s on %s is repeated", message, *task.job.key)
        self.losses[task] += 1
        if self.losses[task] < self.params.runner.attempts:
            self.suspects.append(task)
            return
        reason = f"its worker was lost {self.losses[task]} times ({message}); memory may have run out: use fewer workers"
        self.source.take(task, _failed(task, f"{reason} or smaller batches."))


def _failed(task: Task, reason: str) -> Outcome:
    failure = Failure(task.job.data.name, task.job.model.name, task.stage.name, reason)
    return replace(task.job.outcome, failures=(*task.job.outcome.failures, failure))
