"""Hands the pairs of a plan to workers: extraction first, scoring of each group of models once its embeddings are there.

Only a few tasks stand in the queue of a runner at any moment, so that a limit can stop a run, and a zoo of thousands of pairs
takes no memory for those whose turn has not come. A pair whose worker was lost is handed out again after all others and then
alone, so that one that takes its worker down with it cannot take others with it too.
"""

import logging
from asyncio import CancelledError
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from queue import SimpleQueue
from typing import Any

from prefect import Task
from prefect.futures import PrefectFuture

from flows.runner import Runner, ahead, on_device, reason, task_runner
from itm.core.params import Params
from itm.core.secrets import told
from itm.core.types import DataRef, Failure, Features, ModelRef, Outcome
from itm.features.devices import give_memory_back
from itm.features.extract import tell
from itm.ranking.rank import failed_outcome
from itm.run.limits import STEP, Budget, over_budget
from itm.run.lookup import Names, Stored, names
from itm.run.plan import Plan
from itm.store.layout import Store
from tasks.extract import extract_pair
from tasks.score import score_models

log = logging.getLogger("itm.flow")

Pair = tuple[ModelRef, DataRef]


class LostWorkerError(Exception):
    """A worker was gone before its task had ended."""


def compute(planned: Plan, found: Stored, params: Params, store: Store) -> list[Outcome]:
    """Return what every pair of a plan came to, those that were found as they are and the others computed by workers."""
    work = _Work(planned, found, params, store)
    while missing := work.missing():
        with task_runner(params.runner) as runner:
            work.hand_out(missing, runner)
        give_memory_back()
    return [work.outcomes[names(*pair)] for pair in planned.pairs]


class _Work:
    """What every pair has come to so far, what waits for what, and what is in the hands of workers."""

    def __init__(self, planned: Plan, found: Stored, params: Params, store: Store) -> None:
        self.planned, self.params, self.store = planned, params, store
        self.features: dict[Names, Features | Failure] = dict(found.features)
        self.outcomes = dict(found.outcomes)
        self._budget = Budget(params.limits)
        self._times_lost: Counter[Names] = Counter()
        self._running = 0
        self._done: SimpleQueue[tuple[Sequence[Pair], Any]] = SimpleQueue()

    def missing(self) -> list[Pair]:
        """Return the pairs that came to nothing yet, those whose worker was lost last."""
        missing = [pair for pair in self.planned.pairs if names(*pair) not in self.outcomes]
        return sorted(missing, key=lambda pair: self._times_lost[names(*pair)])

    def hand_out(self, missing: Sequence[Pair], runner: Runner) -> None:
        """Have workers compute what is missing, until there is no more or one of them is lost."""
        needed = {names(*pair): pair for pair in missing if names(*pair) not in self.features}
        self._unextracted, self._ready, self._blocked = deque(needed.values()), deque[Sequence[Pair]](), _Blocked()
        for group in _groups(missing, self.params.runner.together):
            self._blocked.add(group, {names(*pair) for pair in group} - self.features.keys(), self._ready)
        lost = False
        while self._running or (not lost and (self._unextracted or self._ready)):
            if not lost:
                self._submit(runner)
            if self._running:
                lost |= self._take(*self._done.get())

    def _submit(self, runner: Runner) -> None:
        """Fill the queue of the runner: scores first, since they let go of something."""
        while self._ready and self._may_begin(self._ready[0], runner):
            self._score(self._ready.popleft(), runner)
        while self._unextracted and self._may_begin([self._unextracted[0]], runner):
            self._extract(self._unextracted.popleft(), runner)

    def _may_begin(self, pairs: Sequence[Pair], runner: Runner) -> bool:
        suspect = any(self._times_lost[names(*pair)] for pair in pairs)
        return self._running < (1 if suspect else ahead(runner, self.params.runner))

    def _extract(self, pair: Pair, runner: Runner) -> None:
        model, data = pair
        if reason := self._budget.spent():
            self._arrived(names(*pair), Failure(data.name, model.name, STEP, reason))
            return
        with on_device(runner, self.params.runner):
            self._hand([pair], extract_pair, runner, model=model, data=data)

    def _score(self, group: Sequence[Pair], runner: Runner) -> None:
        reason, whole = self._budget.spent(on_device=False), []
        for model, data in group:
            found = self.features[names(model, data)]
            if isinstance(found, Failure):
                self.outcomes[names(model, data)] = Outcome(data.name, model.name, None, (), (found,))
            elif reason:
                self.outcomes[names(model, data)] = over_budget(data.name, model.name, reason, found)
            else:
                whole.append((model, data))
        if whole:
            models = [self.features[names(*pair)] for pair in whole]
            self._hand(whole, score_models, runner, models=models)

    def _hand(self, pairs: Sequence[Pair], task: Task[..., Any], runner: Runner, **arguments: Any) -> None:
        future = runner.submit(task, parameters=arguments | {"params": self.params, "store": self.store})
        self._running += 1
        future.add_done_callback(lambda done: self._done.put((pairs, done)))

    def _take(self, pairs: Sequence[Pair], future: PrefectFuture[Any]) -> bool:
        """Put what came back in its place, and say whether a worker was lost."""
        self._running -= 1
        extracted = len(pairs) == 1 and names(*pairs[0]) not in self.features
        try:
            result = _result(future)
        except LostWorkerError as error:
            self._lose(pairs, extracted, str(error))
            return True
        if extracted:
            model, data = pairs[0]
            self._arrived(
                names(model, data), Failure(data.name, model.name, "extract", result) if isinstance(result, str) else result
            )
        else:
            self._keep_scores(pairs, result)
        return False

    def _arrived(self, name: Names, features: Features | Failure) -> None:
        self.features[name] = features
        if isinstance(features, Features):
            self._budget.take(features)
            if self.params.runner.kind != "threads" and not features.cached:  # what another process logs is not seen here
                tell(features)
        self._blocked.free(name, self._ready)

    def _keep_scores(self, pairs: Sequence[Pair], result: Any) -> None:
        for place, (model, data) in enumerate(pairs):
            found = self.features[names(model, data)]
            assert isinstance(found, Features)
            if isinstance(result, str):
                outcome = failed_outcome(data.name, model.name, "score", result)
            else:
                outcome = Outcome(data.name, model.name, found, *result[place])
            self.outcomes[names(model, data)] = outcome

    def _lose(self, pairs: Sequence[Pair], extracted: bool, told_of: str) -> None:
        """Count a loss, and give a pair up that was lost too often: it may well be what takes workers down."""
        log.warning("a worker was lost (%s); what it had not finished is handed out again", told_of)
        for model, data in pairs:
            self._times_lost[names(model, data)] += 1
            if self._times_lost[names(model, data)] < self.params.runner.attempts:
                continue
            reason = f"its worker was lost {self.params.runner.attempts} times ({told_of}); memory may have run out."
            if extracted:
                self._arrived(names(model, data), Failure(data.name, model.name, "extract", reason))
            else:
                self.outcomes[names(model, data)] = failed_outcome(data.name, model.name, "score", reason)


class _Blocked:
    """Groups that wait for embeddings, by the names of what they wait for."""

    def __init__(self) -> None:
        self._waiting: dict[Names, list[tuple[set[Names], Sequence[Pair]]]] = {}

    def add(self, group: Sequence[Pair], needed: set[Names], ready: deque[Sequence[Pair]]) -> None:
        """Let a group wait for what it needs, or call it ready."""
        if not needed:
            ready.append(group)
        for name in needed:
            self._waiting.setdefault(name, []).append((needed, group))

    def free(self, name: Names, ready: deque[Sequence[Pair]]) -> None:
        """Call those groups ready that waited for nothing but this."""
        for needed, group in self._waiting.pop(name, ()):
            needed.discard(name)
            if not needed:
                ready.append(group)


def _groups(pairs: Sequence[Pair], size: int) -> Iterator[Sequence[Pair]]:
    """Yield pairs of one data set, so many together."""
    for _, own in groupby(pairs, key=lambda pair: pair[1].name):
        while some := list(islice(own, size)):
            yield some


def _result(future: Any) -> Any:
    """Return what a task returned, or in words why it failed.

    Raises
    ------
    LostWorkerError
        If it never ended: the pool is broken, or the scheduler gave up.
    """
    try:
        state = future.wrapped_future.result()
    except (Exception, CancelledError) as error:
        raise LostWorkerError(told(error) if isinstance(error, Exception) else "cancelled") from None
    if state.is_crashed() or state.is_cancelled():
        raise LostWorkerError(reason(state))
    return state.result(raise_on_failure=False) if state.is_completed() else reason(state)
