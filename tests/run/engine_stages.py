"""Small stages for tests of the engine. The name of a model says what happens to its pairs."""

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from itm.core.errors import ModelError
from itm.core.params import Params
from itm.core.types import Failure, Outcome
from itm.run.stages import Job, PairKey, Stage
from itm.store.layout import Store


@dataclass(frozen=True)
class First(Stage):
    """Notes each job as a line of a file. A pair is cached if a file named like its model exists."""

    name: ClassVar[str] = "first"
    folder: Path
    together: int = 1

    def compute(self, jobs: Sequence[Job], params: Params, store: Store) -> list[Outcome]:
        del params, store
        names = [job.model.name for job in jobs]
        with (self.folder / "log").open("a") as log:
            log.write(f"{self.name} {' '.join(names)}\n")
        for name in names:
            self._misbehave(name)
        return [self._passed(job) for job in jobs]

    def _misbehave(self, name: str) -> None:
        if name == f"known error in {self.name}":
            raise ModelError(f"{name}; do this.")
        if name == f"error in {self.name}":
            raise KeyError(name)
        if name == f"interrupt in {self.name}":
            raise KeyboardInterrupt
        once = self.folder / "killed once"
        if name == f"kills its worker in {self.name}" or (name == f"kills one worker in {self.name}" and not once.exists()):
            once.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def _passed(self, job: Job) -> Outcome:
        """Return the outcome with a note that says which stage it went through, or that it has no result."""
        reason = "no result" if job.model.name == f"no result of {self.name}" else "passed"
        note = Failure(job.data.name, job.model.name, self.name, reason)
        return replace(job.outcome, failures=(*job.outcome.failures, note))

    def has_result(self, outcome: Outcome) -> bool:
        return outcome.failures[-1].reason == "passed"

    def find_cached(self, jobs: Sequence[Job], params: Params, store: Store) -> dict[PairKey, Outcome]:
        del params, store
        return {job.key: self._passed(job) for job in jobs if (self.folder / self.name / job.model.name).exists()}

    def is_usable(self, outcome: Outcome, store: Store) -> bool:
        del store
        return not (self.folder / "damaged" / outcome.model).exists()


@dataclass(frozen=True)
class Second(First):
    """The same as a second stage."""

    name: ClassVar[str] = "second"
