"""All fine-tuning runs of one (model, data) pair. Each is stored under its content key, so that an interrupted pair resumes.

The protocol `full` follows Kumar et al., "Fine-tuning can distort pretrained features and underperform out-of-distribution",
ICLR 2022: a linear head is trained on the fixed embeddings first, and all weights from there. The gradients of a random head
would change the backbone before the head fits; a fitted head needs few steps and keeps what the checkpoint has learned.
"""

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from itm.core.errors import ModelError, StoreError
from itm.core.keys import content_key
from itm.core.sections import ExtractParams, FinetuneParams
from itm.core.types import DataRef, ModelRef, Protocol, Run
from itm.finetuning import head as heads
from itm.finetuning.head import train_head
from itm.finetuning.identity import recipe
from itm.finetuning.pair import Pair
from itm.finetuning.protocols import RATE_FACTORS
from itm.finetuning.run_records import RunName, RunRecord
from itm.finetuning.rung_runs import RungRuns
from itm.finetuning.steps import Deadline, Progress, total_steps
from itm.finetuning.values import Values, run_values
from itm.kinds import get_kind
from itm.store.layout import Store
from itm.store.records import RecordStore

log = logging.getLogger(__name__)


def finetune(
    model: ModelRef,
    data: DataRef,
    params: FinetuneParams,
    extract: ExtractParams,
    store: Store,
    deadline: Deadline | None = None,
) -> tuple[Run, ...]:
    """Return the fine-tuning runs of `model` on `data`, one per protocol and seed, computing those that are not stored.

    Weights are trained on the training images, chosen on the validation images, and tested on the test images. `extract`
    gives device and resume. A run that is not finished at the `deadline` is given up; those that are finished are kept.

    Raises
    ------
    DataError
        If the task has no such protocol, a split has no images, or an image changed since it was ingested.
    ModelError
        If the model cannot be built, runs out of memory, is not ready at the deadline, or no learning rate keeps the loss
        finite.
    StoreError
        If a run is missing and `extract.resume` is "only-cache".
    """
    with ExitStack() as held:
        # the pair must not outlive this call: its memory is freed before the device is released
        return _Runs(Pair(model, data, params, extract, store, held), deadline).all()


def cached_runs(
    model: ModelRef, data: DataRef, params: FinetuneParams, extract: ExtractParams, store: Store
) -> tuple[Run, ...] | None:
    """Return the fine-tuning runs of a pair if all are stored and `extract.resume` allows their use, else None."""
    if extract.resume == "always":
        return None
    try:
        return finetune(model, data, params, extract.model_copy(update={"resume": "only-cache"}), store)
    except StoreError:
        return None


class _Runs:
    """The final runs of a pair, and the searches for their learning rates."""

    def __init__(self, pair: Pair, deadline: Deadline | None) -> None:
        self.pair, self.params = pair, pair.params
        self.rates = {name: pair.rates(name) for name in self.params.protocols if name in RATE_FACTORS}
        pair.progress = Progress(pair.title, total_steps(self.params, len(self.params.learning_rates)), deadline)
        self.records, self.rungs = RecordStore(pair.store), RungRuns(pair, in_rungs=False)
        self.chosen: dict[Protocol, float] = {}
        self.best_made: dict[Protocol, tuple[float, float]] = {}

    def all(self) -> tuple[Run, ...]:
        """Return the final runs of all protocols and seeds."""
        seeds = [self.params.seed + number for number in range(self.params.seeds)]
        return tuple(self._run(protocol, seed) for protocol in self.params.protocols for seed in seeds)

    def _run(self, protocol: Protocol, seed: int) -> Run:
        pair, options = self.pair, dict[str, Any]()
        if protocol in self.rates:
            names = ("steps", "evaluations", "patience", "seed")  # the search uses only the first seed
            options = recipe(self.params, *names) | {"search_steps": self.params.search}
            options["learning_rates"] = self.rates[protocol]
        stored, cached = self._stored_or_made(
            f"{protocol}-{seed}",
            options,
            lambda: self._known_run(protocol, seed),
            lambda: self._trained(protocol, seed) if protocol in self.rates else self._head(seed),
        )
        if cached and protocol in self.rates:
            pair.progress.skip(self.params.steps)
        return Run(
            data=pair.data.name,
            data_hash=pair.data.hash,
            model=pair.model.name,
            weights=pair.weights,
            protocol=protocol,
            seed=seed,
            image_size=max(pair.config["input_size"][-2:]),
            train_images=pair.counts["train"],
            val_images=pair.counts["val"],
            test_images=pair.counts["test"],
            device=pair.target.type,
            cached=cached,
            metric=get_kind(pair.data.target.kind).finetuned_metric.name,
            **stored,
        )

    def _head(self, seed: int) -> Values:
        training = self.pair.training
        head = train_head(training.embedded, self.pair.data.target, seed)
        found = head.evaluations if training.kind.level == "image" else training.evaluate_head(head)
        return run_values(head.learning_rate, head.weight_decay, (heads.STEPS, heads.STEPS), 0.0, found)

    def _trained(self, protocol: Protocol, seed: int) -> Values:
        rate = self._rate(protocol)
        values = self.rungs.advance(RunName(protocol, rate, seed), self.params.steps).values
        if values is None:
            raise ModelError(
                f"{self.pair.title}: the loss of seed {seed} stopped being finite at learning rate {rate:g}; add lower ones."
            )
        return dict(values)

    def _known_run(self, protocol: Protocol, seed: int) -> Values | None:
        """Return the values of a run that was finished in rungs, if its learning rate is the one of the search."""
        runs = [self.rungs.find(RunName(protocol, rate, seed)) for rate in self.rates.get(protocol, ())]
        if not any(run and run.values for run in runs):
            return None
        try:
            rate = self._rate(protocol, only_known=True)
        except (ModelError, StoreError):
            return None
        run = self.rungs.find(RunName(protocol, rate, seed))
        return run.values | {"seconds": run.rung.seconds} if run and run.values else None

    def _rate(self, protocol: Protocol, only_known: bool = False) -> float:
        """Return the learning rate whose run, by the first seed, is best on validation after the steps of the search."""
        if protocol not in self.chosen:
            found = {
                rate: self._searched(RunName(protocol, rate, self.params.seed), only_known) for rate in self.rates[protocol]
            }
            finite = {rate: (v["val_accuracy"], -v["val_loss"]) for rate, v in found.items() if v["val_loss"] is not None}
            if not finite:
                rates = ", ".join(f"{rate:g}" for rate in found)
                raise ModelError(
                    f"{self.pair.title}: the loss stops being finite at every learning rate ({rates}); add lower ones."
                )
            self.chosen[protocol] = max(finite, key=lambda rate: finite[rate])
        return self.chosen[protocol]

    def _searched(self, name: RunName, only_known: bool) -> Values:
        """Return the result of a search with one learning rate. The best one of those made here stays in memory."""
        steps = self.params.search

        def known() -> Values | None:
            record = self.rungs.find(name)
            return _search_values(record, steps) if record and record.knows(min(steps, self.params.steps)) else None

        def made() -> Values:
            values = _search_values(self.rungs.advance(name, steps), steps)
            if values["val_loss"] is not None:
                quality = values["val_accuracy"], -values["val_loss"]
                if quality > self.best_made.get(name.protocol, (-1.0, 0.0)):
                    self.best_made[name.protocol] = quality
                    self.rungs.remember(name)
            return values

        options = recipe(self.params, "steps", "evaluations", "patience") | {"search_steps": steps}
        prefix = "search" if name.protocol == "full" else f"search-{name.protocol}"
        values, cached = self._stored_or_made(
            f"{prefix}-{name.seed}-{name.learning_rate:g}", options, known, None if only_known else made
        )
        if cached and not only_known:
            self.pair.progress.skip(steps)
        return values

    def _stored_or_made(
        self, run: str, options: dict[str, Any], known: Callable[[], Values | None], made: Callable[[], Values] | None
    ) -> tuple[Values, bool]:
        """Return the values of a run and whether no training was needed. They are stored if they were not.

        They are those of its record, else those that are `known` from rungs, else those that are `made` now.
        """
        pair = self.pair
        key = content_key(pair.identity | {"run": run, "decides": options})
        path = pair.store.finetuning(pair.data.name, pair.model.name, run, key)
        if pair.resume != "always" and (found := self.records.get(path, key)):
            return found, True
        values, cached = (known(), True) if pair.resume != "always" else (None, False)
        if values is None:
            if made is None or pair.resume == "only-cache":
                raise StoreError(f"{pair.title}: run {run} is not stored and resume is 'only-cache'; use 'only-missing'.")
            log.debug("%s: computing %s on %s", pair.title, run, pair.device)  # waiting for a device does not count
            started = time.perf_counter()
            values, cached = made(), False
            values["seconds"] = round(time.perf_counter() - started, 2)
        self.records.put(path, key, values)
        log.debug("%s: %s %s", pair.title, run, values)
        return values, cached


def _search_values(record: RunRecord, steps: int) -> Values:
    """Return the result of a search from its run, which may have stopped early or gone further."""
    rung = record.rung
    mark = rung.mark_at(min(steps, rung.step))
    seconds = {"seconds": rung.seconds}
    return {"val_accuracy": mark.accuracy if mark else None, "val_loss": mark.loss if mark else None} | seconds
