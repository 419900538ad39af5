"""What is known of a fine-tuning run, finished or not: its evaluations, and its result once it is over."""

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from itm.core.errors import StoreError
from itm.core.keys import content_key
from itm.core.sections import FinetuneParams
from itm.core.types import Protocol
from itm.finetuning.identity import recipe
from itm.finetuning.trajectory import Mark
from itm.finetuning.values import Values
from itm.store.files import exists, read_json
from itm.store.records import RecordStore

log = logging.getLogger(__name__)

RECORDS = RecordStore(None, version=1)  # a record grows, so it is not exchanged between machines


@dataclass(frozen=True)
class RunName:
    """Which run of a pair."""

    protocol: Protocol
    learning_rate: float
    seed: int

    def __str__(self) -> str:
        return f"{self.protocol}-{self.seed}-{self.learning_rate:g}"

    def key(self, identity: dict[str, Any], params: FinetuneParams) -> str:
        """Return the content key of the run of a pair with this identity."""
        # batch norm starts from random crops, which depend on the first seed
        decides = recipe(params, "steps", "evaluations", "patience", "seed")
        run = {"protocol": self.protocol, "learning_rate": self.learning_rate, "seed": self.seed}
        return content_key(identity | {"run": run, "decides": decides})


@dataclass(frozen=True)
class Rung:
    """How far a run has come, with all its evaluations on the validation images.

    `step` is the number of steps taken. The run is `over` if it is finished, was stopped early, or its loss is no longer
    `finite`. `best_step` is the one whose state is kept. `test_accuracy` is that of this state, once the run is over.
    `head_accuracy` is the validation accuracy of the head that the run started from. `seconds` is the time that the run took so
    far, and `start_seconds` that of the embeddings and of this head, which the runs of a seed share. `batch_norm` is how the
    statistics of batch norm, if the model has it, were treated.
    """

    protocol: Protocol
    learning_rate: float
    seed: int
    step: int
    marks: tuple[Mark, ...]
    over: bool
    finite: bool
    seconds: float
    start_seconds: float
    head_accuracy: float
    batch_norm: Literal["train", "frozen"] = "frozen"
    best_step: int | None = None
    test_accuracy: float | None = None

    def mark_at(self, step: int) -> Mark | None:
        """Return the evaluation after exactly so many steps, or None if there was none."""
        return next((mark for mark in self.marks if mark.step == step), None)

    @property
    def name(self) -> RunName:
        return RunName(self.protocol, self.learning_rate, self.seed)


@dataclass(frozen=True)
class RunRecord:
    """A rung as it is stored, and the values of the finished run."""

    rung: Rung
    values: Values | None = None

    def knows(self, step: int) -> bool:
        """Return whether training until `step` would tell nothing new."""
        return self.rung.mark_at(step) is not None or (self.rung.over and step >= self.rung.step)


def write_record(folder: Path, key: str, record: RunRecord) -> None:
    RECORDS.put(_path(folder, record.rung.name, key), key, asdict(record))


def read_record(folder: Path, name: RunName, key: str) -> RunRecord | None:
    """Return what is stored of a run, or None."""
    return RECORDS.get_as(RunRecord, _path(folder, name, key), key)


def stored_names(folder: Path) -> Iterator[RunName]:
    """Yield the runs that have a record, by whatever options; some may occur twice."""
    for path in sorted(folder.glob("*.json")) if exists(folder) else ():
        try:
            rung = read_json(path)["payload"]["rung"]
            yield RunName(rung["protocol"], rung["learning_rate"], rung["seed"])
        except (StoreError, KeyError, TypeError) as error:
            log.debug("%s: not a record of a run: %s", path, error)


def _path(folder: Path, name: RunName, key: str) -> Path:
    return folder / f"{name}-{key[:16]}.json"
