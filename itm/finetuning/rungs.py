"""Fine-tuning in rungs: runs that stop after some of their steps, and go on only if they are asked to.

A rung run and a run of `finetune` with the same options are the same run: what one of them has stored, the other one uses.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from itm.core.errors import ParamsError
from itm.core.sections import ExtractParams, FinetuneParams
from itm.core.types import DataRef, ModelRef, Protocol
from itm.finetuning.pair import Pair
from itm.finetuning.protocols import RATE_FACTORS
from itm.finetuning.run_records import Rung, RunName, stored_names
from itm.finetuning.rung_runs import RungRuns
from itm.finetuning.steps import Deadline, Progress
from itm.store.files import remove
from itm.store.layout import Store
from itm.store.mirror import local_store

__all__ = ["Rung", "Wanted", "forget_states", "stored_rungs", "train_rungs"]


@dataclass(frozen=True)
class Wanted:
    """A run that is to be trained until `step` of `params.finetune.steps`, and evaluated there.

    With `keep`, its best state so far can be exported even if the run is not finished.
    """

    protocol: Protocol
    learning_rate: float
    seed: int
    step: int
    keep: bool = False

    def __post_init__(self) -> None:
        if self.protocol not in RATE_FACTORS:
            raise ParamsError(f"protocol {self.protocol!r} has no rungs; use one of {', '.join(RATE_FACTORS)}.")

    @property
    def name(self) -> RunName:
        return RunName(self.protocol, self.learning_rate, self.seed)


def train_rungs(
    model: ModelRef,
    data: DataRef,
    wanted: Sequence[Wanted],
    params: FinetuneParams,
    extract: ExtractParams,
    store: Store,
    deadline: Deadline | None = None,
) -> tuple[Rung, ...]:
    """Train runs of `model` on `data` until the steps that are wanted, and return how far each has come, in the same order.

    A run goes on from its stored state, also if `extract.resume` is "always". It may have come further than wanted. A finished
    run is tested, and its weights are kept if they are the best ones of the pair.

    Raises
    ------
    DataError
        If the task is not classification, a split has no images, or an image changed since it was ingested.
    ModelError
        If the model cannot be built, runs out of memory, or has nothing that the protocol trains.
    OutOfTimeError
        If a run is not at its step at the `deadline`. Its state is stored.
    """
    with ExitStack() as held:
        # the pair must not outlive this call: its memory is freed before the device is released
        return _trained(Pair(model, data, params, extract, store, held), wanted, deadline)


def _trained(pair: Pair, wanted: Sequence[Wanted], deadline: Deadline | None) -> tuple[Rung, ...]:
    pair.progress = Progress(pair.title, sum(min(one.step, pair.params.steps) for one in wanted), deadline)
    runs = RungRuns(pair, in_rungs=True)
    return tuple(runs.advance(one.name, one.step, one.keep).rung for one in wanted)


def stored_rungs(
    model: ModelRef, data: DataRef, params: FinetuneParams, extract: ExtractParams, store: Store
) -> tuple[Rung, ...]:
    """Return what is known of the runs of a pair with these options, without training and without building the model.

    Runs of `finetune` are among them.
    """
    names = dict.fromkeys(stored_names(local_store(store).rungs(data.name, model.name)))
    if not names:
        return ()
    with ExitStack() as held:
        runs = RungRuns(Pair(model, data, params, extract, store, held), in_rungs=True)
        return tuple(record.rung for name in names if (record := runs.find(name)))


def forget_states(model: ModelRef, data: DataRef, store: Store) -> None:
    """Delete the states of all runs of a pair. Their records stay, and a run that is to go on begins again."""
    remove(local_store(store).finetuning_states(data.name, model.name))
