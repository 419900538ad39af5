"""The runs of one pair. Each goes on from its stored state, and what is known of it is stored."""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from itm.core.types import SplitName
from itm.finetuning.head import Evaluation
from itm.finetuning.pair import Pair
from itm.finetuning.protocols import trained_parameters
from itm.finetuning.run_records import Rung, RunName, RunRecord, read_record, write_record
from itm.finetuning.states import read_position, read_snapshot, write_state
from itm.finetuning.steps import OutOfTimeError
from itm.finetuning.training import State
from itm.finetuning.trajectory import Mark, Position, Trajectory
from itm.finetuning.values import Values, run_values
from itm.finetuning.weights import FinetunedWeights, keep, unfinished_facts, weights_facts, weights_path
from itm.store.files import delete

log = logging.getLogger(__name__)


class RungRuns:
    """The runs of a pair.

    With `in_rungs`, the state of a run is stored whenever it stops, and the first seed is also evaluated after the steps of a
    learning-rate search, so that `finetune` needs no search of its own. Otherwise states are only read.
    """

    def __init__(self, pair: Pair, in_rungs: bool) -> None:
        self.pair, self.in_rungs = pair, in_rungs
        self.reads = in_rungs or pair.resume != "always"  # rungs would never get on if all of them began again
        self._folder = pair.store.rungs(pair.data.name, pair.model.name)
        self._states = pair.store.finetuning_states(pair.data.name, pair.model.name)
        self._known: dict[RunName, RunRecord] = {}
        self._last: tuple[RunName, Trajectory] | None = None
        self._remembered: tuple[RunName, State, Position] | None = None

    def find(self, name: RunName) -> RunRecord | None:
        """Return what is known of a run, or None."""
        if name not in self._known and self.reads and (found := read_record(self._folder, name, self._key(name))):
            self._known[name] = found
        return self._known.get(name)

    def advance(self, name: RunName, to: int, keep_state: bool = False) -> RunRecord:
        """Train a run until step `to`, or until it is over, and evaluate it there, unless this is known.

        With `keep_state`, the best state so far is kept for export even if the run is not over.

        Raises
        ------
        OutOfTimeError
            If the deadline is over before. The state is stored with `in_rungs`.
        """
        pair, step, known = self.pair, min(to, self.pair.params.steps), self.find(name)
        if known and known.knows(step):
            pair.progress.skip(step)
            return known
        log.debug("%s: training %s on %s until step %d", pair.title, name, pair.device, step)
        began = time.perf_counter() - pair.seconds_of_starts  # waiting for the device does not count
        run, found = self._trajectory(name, step), list[Mark | None]()
        before = run.position.step
        pair.progress.skip(before)

        def save() -> RunRecord:
            record = self._save(name, run, found, began)
            if keep_state and not record.rung.over:
                self._keep_unfinished(name, run, found[-1] if found else None)
            return record

        try:
            with pair.progress.run(step - before):
                for stop in self._stops(name, before, step):
                    run.advance(stop)
                    found.append(run.evaluate())
        except OutOfTimeError:
            if self.in_rungs:
                save()
            raise
        return save()

    def remember(self, name: RunName) -> None:
        """Keep the state of a run that was just trained in memory, instead of that of any other."""
        if self._last and self._last[0] == name and self._last[1].has_model:
            run = self._last[1]
            self._remembered = name, run.snapshot(), replace(run.position)

    def _stops(self, name: RunName, before: int, step: int) -> list[int]:
        """Return the steps at which a run is evaluated, beside its marks."""
        search = self.pair.params.search
        also = self.in_rungs and name.seed == self.pair.params.seed and before < search < step
        return [search, step] if also else [step]

    def _trajectory(self, name: RunName, step: int) -> Trajectory:
        """Return a run that is not further than `step`: the last one, one that is stored, or a new one."""
        if self._last and self._last[0] == name and self._last[1].has_model and self._last[1].position.step <= step:
            return self._last[1]
        pair, params = self.pair, self.pair.params
        trained_parameters(pair.training.model.backbone, name.protocol, pair.title)  # an error costs less before embeddings
        head = pair.start(name.seed).head
        options = name.learning_rate, params.steps, params.evaluations, name.seed, name.protocol
        run = Trajectory(pair.training, head, *options)
        self._last = name, run
        if self._remembered and self._remembered[0] == name and self._remembered[2].step <= step:
            run.restore(*self._remembered[1:])
            return run
        path, key = self._state(name)
        position = read_position(path, key) if self.reads else None
        if position and position.step <= step and (snapshot := read_snapshot(path)) is not None:
            run.restore(snapshot, position)
        return run

    def _save(self, name: RunName, run: Trajectory, found: Sequence[Mark | None], began: float) -> RunRecord:
        """Store what is known of a run, and its state unless it is over or a later one is stored. `found` are evaluations."""
        pair, known, (path, key) = self.pair, self.find(name), self._state(name)
        more = (*run.position.marks, *(mark for mark in found if mark))
        marks = {mark.step: mark for mark in (*(known.rung.marks if known else ()), *more)}
        start, finite = pair.start(name.seed), run.position.finite and None not in found
        rung = Rung(
            protocol=name.protocol,
            learning_rate=name.learning_rate,
            seed=name.seed,
            step=run.position.step,
            marks=tuple(marks[step] for step in sorted(marks)),
            over=run.is_over or not finite,
            finite=finite,
            seconds=0.0,
            start_seconds=start.seconds,
            head_accuracy=start.head.evaluations["val"].accuracy,
            batch_norm="frozen" if start.statistics.frozen else "train",
            best_step=run.best_mark.step if run.best_mark else None,
        )
        record, is_behind = RunRecord(rung), known is not None and known.rung.step > rung.step
        if known and is_behind:  # it was trained again for an evaluation that was missing
            record = replace(known, rung=replace(known.rung, marks=rung.marks))
        elif rung.over and finite:
            values = self._finished(name, run)
            record = RunRecord(replace(rung, test_accuracy=values["test_accuracy"]), values)
        elif self.in_rungs and not rung.over:
            write_state(path, key, run.snapshot(), run.position)
        seconds = time.perf_counter() - pair.seconds_of_starts - began + (known.rung.seconds if known else 0.0)
        record = replace(record, rung=replace(record.rung, seconds=round(seconds, 2)))
        write_record(self._folder, key, record)
        self._known[name] = record
        if record.rung.over:
            delete(path)
        return record

    def _finished(self, name: RunName, run: Trajectory) -> Values:
        """Return the values of a run that is over, and keep its weights if they are the best ones of the pair."""
        pair, params, trained = self.pair, self.pair.params, run.result()
        assert trained  # a finite run that is over has a mark
        evaluations: dict[SplitName, Evaluation] = {
            "train": pair.training.evaluate("train", trained.state),
            "val": trained.val,
            "test": pair.training.evaluate("test", trained.state),
        }
        steps = (trained.steps, trained.best_step)
        values = run_values(name.learning_rate, params.weight_decay, steps, trained.images_per_second, evaluations)
        self._keep(weights_facts(name.seed, pair.data.target, pair.counts["test"], values), trained.state)
        return values

    def _keep_unfinished(self, name: RunName, run: Trajectory, present: Mark | None) -> None:
        if best := run.result(present):
            about = name.seed, self.pair.data.target, self.pair.counts["test"], name.learning_rate
            self._keep(unfinished_facts(*about, best.val, run.position.step / self.pair.params.steps), best.state)

    def _keep(self, facts: FinetunedWeights, state: State) -> None:
        pair = self.pair
        if pair.params.keep_weights and pair.data.target.kind == "classification":  # export writes classifiers only
            keep(weights_path(pair.model, pair.data.name, pair.data.hash, pair.store), facts, state)

    def _key(self, name: RunName) -> str:
        return name.key(self.pair.identity, self.pair.params)

    def _state(self, name: RunName) -> tuple[Path, str]:
        """Return the file of the state of a run, and its key."""
        key = self._key(name)
        return self._states / f"{name}-{key[:16]}.safetensors", key
