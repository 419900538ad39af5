"""The job of a search: one run of a model, trained on until a step."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from itm.core.params import Params
from itm.core.types import Outcome
from itm.finetuning.rungs import Wanted, train_rungs
from itm.finetuning.steps import Deadline
from itm.run.stages import Job, PairKey, Stage
from itm.store.layout import Store


@dataclass(frozen=True)
class RungStage(Stage):
    """Trains a run until a step, from where it is stored. The result is in the store.

    A run that is not there at the deadline fails, and resumes the next time.
    """

    name: ClassVar[str] = "rung"
    on_device: ClassVar[bool] = True
    wanted: Wanted
    deadline: Deadline | None = None

    def compute(self, jobs: Sequence[Job], params: Params, store: Store) -> list[Outcome]:
        for job in jobs:
            train_rungs(job.model, job.data, (self.wanted,), params.finetune, params.extract, store, self.deadline)
        return [job.outcome for job in jobs]

    def find_cached(self, jobs: Sequence[Job], params: Params, store: Store) -> dict[PairKey, Outcome]:  # noqa: ARG002
        """Return nothing: a search only asks for what is not stored."""
        return {}
