"""The engine: the only loop over pairs. It decides which jobs to run, in which order and within which limits.

An executor runs the jobs. Later stages go first, since they finish pairs. Only a few jobs are submitted at any time, so that a
limit can stop a run and a plan of thousands of pairs needs little memory. The jobs of a lost worker are queued again, after all
others and then alone: one that takes its worker down cannot take others with it.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from queue import SimpleQueue

from itm.core.errors import is_expected
from itm.core.params import LimitParams, Params
from itm.core.progress import progress_bar
from itm.core.secrets import error_message
from itm.core.types import Failure, Outcome
from itm.features.devices import trim_memory
from itm.run.executors.base import LOST, Executor, Future, Running
from itm.run.plan import LIMITS, Plan, find_cached
from itm.run.stages import Job, PairKey, Stage, pair_key
from itm.store.hash_cache import saved_hashes
from itm.store.layout import Store

log = logging.getLogger(__name__)


def execute(plan: Plan, executor: Executor, store: Store, params: Params, budget: "Budget | None" = None) -> list[Outcome]:
    """Return the outcome of every pair of `plan`, in its order. What is stored is not computed again.

    The limits of the parameters hold from now on, unless `budget` says what is left of them. Whatever goes wrong with a pair is
    a failure in its outcome and stops no other pair. After an interruption, the next run resumes from what is stored.
    """
    with saved_hashes(store):
        cached = find_cached(plan, params, store)
    pairs = []
    for model, data in plan.pairs:
        stage, outcome = cached[pair_key(model, data)]
        pairs.append(_Pair(Job(model, data, outcome), stage))
        if stage == len(plan.stages):
            plan.stages[-1].log_result(outcome)
    waiting, budget = _unfinished(pairs, plan), budget or Budget(params.limits)
    jobs = [[pair.job for pair in waiting if pair.stage <= number] for number in range(len(plan.stages))]
    plan = plan.through(*(stage.for_run(own, params, store) for stage, own in zip(plan.stages, jobs, strict=True)))
    with progress_bar("pairs", len(waiting), "pairs") as advance:
        while waiting:
            with executor.start(_count_jobs(waiting, plan)) as running:
                _Round(plan, waiting, budget, params, store, advance).run(running)
            trim_memory()
            waiting = _unfinished(pairs, plan)
    return [pair.job.outcome for pair in pairs]


class Budget:
    """What is left of the limits of one run."""

    def __init__(self, limits: LimitParams, began: float | None = None) -> None:
        self.limits, self._began, self._device_seconds = limits, time.monotonic() if began is None else began, 0.0

    def take(self, outcome: Outcome) -> None:
        """Count the time that devices needed for a pair: its extraction and its fine-tuning runs, unless they were cached."""
        if outcome.features and not outcome.features.cached:
            self._device_seconds += outcome.features.seconds
        self._device_seconds += sum(run.seconds for run in outcome.runs if not run.cached)

    def spent(self, on_device: bool = True) -> str:
        """Return which limit forbids another job, on a device or not; nothing if none does."""
        seconds, device_seconds = self.limits.seconds, self.limits.device_seconds
        if seconds is not None and time.monotonic() - self._began >= seconds:
            return f"limits.seconds ({seconds:g}) were used up before its turn; the next run begins with it"
        if on_device and device_seconds is not None and self._device_seconds >= device_seconds:
            return f"limits.device_seconds ({device_seconds:g}) were used up before its turn; the next run begins with it"
        return ""


@dataclass(eq=False)
class _Pair:
    """How far a pair is: the number of its next stage, and how often its worker was lost."""

    job: Job
    stage: int
    losses: int = 0


@dataclass(eq=False)
class _Batch:
    """Pairs of one data set that are submitted together, once none of them is before this stage."""

    stage: int
    pairs: Sequence[_Pair]

    @property
    def waiting(self) -> list[_Pair]:
        """Return the pairs that reached this stage; the others have failed."""
        return [pair for pair in self.pairs if pair.stage == self.stage]

    @property
    def is_ready(self) -> bool:
        return all(pair.stage >= self.stage for pair in self.pairs) and bool(self.waiting)

    @property
    def is_suspect(self) -> bool:
        return any(pair.losses for pair in self.pairs)


class _Round:
    """The work of one start of an executor: until the end, or until a worker is lost."""

    def __init__(
        self,
        plan: Plan,
        pairs: Sequence[_Pair],
        budget: Budget,
        params: Params,
        store: Store,
        advance: Callable[[int], None],
    ) -> None:
        self.stages, self.budget, self.params, self.store, self.advance = plan.stages, budget, params, store, advance
        self.done: SimpleQueue[tuple[_Batch, list[_Pair], Future]] = SimpleQueue()
        self.jobs, self.is_alone = 0, False
        self.ready: list[deque[_Batch]] = [deque() for _ in self.stages]
        self.suspects: deque[_Batch] = deque()
        self.batches: dict[tuple[int, PairKey], _Batch] = {}
        for number, stage in enumerate(self.stages):
            for batch in _batches(number, stage, [pair for pair in pairs if pair.stage <= number]):
                self.batches |= {(number, pair.job.key): batch for pair in batch.pairs}
                self._queue(batch)

    def run(self, running: Running) -> None:
        """Submit jobs and take their results."""
        is_lost = False
        while True:
            while not is_lost and (batch := self._next(running)):
                is_lost = self._submit(batch, running)
            if not self.jobs:
                return
            is_lost |= self._take(*self.done.get())

    def _queue(self, batch: _Batch) -> None:
        if batch.is_ready:
            (self.suspects if batch.is_suspect else self.ready[batch.stage]).append(batch)

    def _next(self, running: Running) -> _Batch | None:
        """Return the batch to submit now, if there is one; one whose worker was lost before runs alone."""
        if self.is_alone:
            return None
        for queue in reversed(self.ready):
            if queue:
                return queue.popleft() if self.jobs < running.width else None
        return self.suspects.popleft() if self.suspects and not self.jobs else None

    def _submit(self, batch: _Batch, running: Running) -> bool:
        """Submit a batch unless a limit forbids it. Return whether no worker is left."""
        stage, pairs = self.stages[batch.stage], batch.waiting
        if reason := self.budget.spent(stage.on_device):
            for pair in pairs:
                self._fail(pair, LIMITS, reason)
            return False
        try:
            future = running.submit(stage, [pair.job for pair in pairs], self.params, self.store)
        except LOST as error:
            log.warning("no worker is left (%s); starting again", error_message(error))
            return True
        self.jobs, self.is_alone = self.jobs + 1, batch.is_suspect
        future.add_done_callback(lambda done: self.done.put((batch, pairs, done)))
        return False

    def _take(self, batch: _Batch, pairs: Sequence[_Pair], future: Future) -> bool:
        """Take the result of a job. Return whether its worker was lost."""
        self.jobs, self.is_alone, name = self.jobs - 1, False, self.stages[batch.stage].name
        try:
            outcomes = future.result()
        except LOST as error:
            self._lose(pairs, name, error_message(error) or type(error).__name__)
            return True
        except Exception as error:
            about = ", ".join(f"{model} on {data}" for model, data in (pair.job.key for pair in pairs))
            log.error("%s: %s", about, error_message(error), exc_info=None if is_expected(error) else error)
            for pair in pairs:
                self._fail(pair, name, error_message(error))
            return False
        for pair, outcome in zip(pairs, outcomes, strict=True):
            if self.stages[batch.stage].has_result(outcome):
                self._complete(pair, outcome)
            else:
                log.error("%s on %s: %s", *pair.job.key, outcome.failures[-1].reason)
                self._fail(pair, name, outcome.failures[-1].reason)
        return False

    def _complete(self, pair: _Pair, outcome: Outcome) -> None:
        """Take a pair to its next stage."""
        stage = self.stages[pair.stage]
        if stage.on_device:
            self.budget.take(outcome)
        stage.log_result(outcome)
        pair.job, pair.stage = replace(pair.job, outcome=outcome), pair.stage + 1
        if pair.stage == len(self.stages):
            self.advance(1)
        else:
            self._queue(self.batches[pair.stage, pair.job.key])

    def _fail(self, pair: _Pair, step: str, reason: str) -> None:
        """Finish a pair with a failure, so that the batches of its later stages go on without it."""
        failure, outcome = Failure(pair.job.data.name, pair.job.model.name, step, reason), pair.job.outcome
        pair.job = replace(pair.job, outcome=replace(outcome, failures=(*outcome.failures, failure)))
        later, pair.stage = range(pair.stage + 1, len(self.stages)), len(self.stages)
        for stage in later:
            self._queue(self.batches[stage, pair.job.key])
        self.advance(1)

    def _lose(self, pairs: Sequence[_Pair], step: str, message: str) -> None:
        """Count a loss. A pair whose worker was lost too often fails: it may be what takes workers down."""
        log.warning("a worker was lost (%s); its jobs are queued again", message)
        for pair in pairs:
            pair.losses += 1
            if pair.losses >= self.params.runner.attempts:
                reason = f"its worker was lost {pair.losses} times ({message})"
                self._fail(pair, step, f"{reason}; memory may have run out: use fewer workers or smaller batches.")


def _unfinished(pairs: Sequence[_Pair], plan: Plan) -> list[_Pair]:
    return [pair for pair in pairs if pair.stage < len(plan.stages)]


def _count_jobs(waiting: Sequence[_Pair], plan: Plan) -> int:
    """Return how many jobs can begin now."""
    own = ((number, stage, [pair for pair in waiting if pair.stage == number]) for number, stage in enumerate(plan.stages))
    return sum(len(list(_batches(*one))) for one in own)


def _batches(number: int, stage: Stage, pairs: Sequence[_Pair]) -> Iterator[_Batch]:
    """Yield the pairs of one data set that are computed together, and alone each one whose worker was lost."""
    by_key = {pair.job.key: pair for pair in pairs}
    for (_, is_suspect), own in groupby(pairs, key=lambda pair: (pair.job.data.name, pair.losses > 0)):
        jobs = [pair.job for pair in own]
        for some in ([job] for job in jobs) if is_suspect else stage.batches(jobs):
            yield _Batch(number, [by_key[job.key] for job in some])
