"""All fine-tuning runs of one (model, data) pair. Each is stored under its content key, so that an interrupted pair resumes.

The protocol `full` follows Kumar et al., "Fine-tuning can distort pretrained features and underperform out-of-distribution",
ICLR 2022: a linear head is trained on the fixed embeddings first, and all weights from there. The gradients of a random head
would change the backbone before the head fits; a fitted head needs few steps and keeps what the checkpoint has learned.
"""

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from itm.core.errors import DataError, ModelError, StoreError
from itm.core.keys import content_key
from itm.core.sections import ExtractParams, FinetuneParams
from itm.core.types import DataRef, ModelRef, Protocol, Run, SplitName
from itm.data.index import read_index
from itm.features.devices import device, leased
from itm.features.extractors import Extractor
from itm.finetuning import head as heads
from itm.finetuning.head import Evaluation, Head, train_head
from itm.finetuning.identity import pair_identity, recipe
from itm.finetuning.images import SPLITS, Images, read_images
from itm.finetuning.steps import Deadline, Progress, learning_rates, total_steps
from itm.finetuning.training import Training
from itm.finetuning.trajectory import Position, State, Trajectory
from itm.finetuning.values import Values, run_values
from itm.finetuning.weights import keep, weights_facts, weights_path
from itm.store.layout import Store
from itm.store.mirror import local_store
from itm.store.records import RecordStore
from itm.zoo import load

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
        If the task is not classification, a split has no images, or an image changed since it was ingested.
    ModelError
        If the model cannot be built, runs out of memory, is not ready at the deadline, or no learning rate keeps the loss
        finite.
    StoreError
        If a run is missing and `extract.resume` is "only-cache".
    """
    if data.target.kind != "classification":
        raise DataError(f"{data.name}: fine-tuning supports classification, and this is {data.target.kind}.")
    with ExitStack() as held:
        # the pair must not outlive this call: its memory is freed before the device is released
        return _Pair(model, data, params, extract, local_store(store), held, deadline).runs()


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


@dataclass(frozen=True)
class _Searched:
    """The best run of a search, from which the final run with its learning rate goes on."""

    rate: float
    quality: tuple[float, float]
    snapshot: State
    position: Position


class _Pair:
    """One model on one data set. The device, the images and the model are only used if a run is missing."""

    def __init__(
        self,
        model: ModelRef,
        data: DataRef,
        params: FinetuneParams,
        extract: ExtractParams,
        store: Store,
        held: ExitStack,
        deadline: Deadline | None,
    ) -> None:
        self.model, self.data, self.params, self.resume, self.store = model, data, params, extract.resume, store
        self.held, self.target, self.records = held, device(extract.device), RecordStore(store)
        extractor, self.table = Extractor(model), read_index(data, store)
        self.config = extractor.preprocessing
        self.title = f"{model.name} on {data.name}"
        usable = self.table.filter(status="ok")
        self.counts = {split: len(usable.filter(split=split)) for split in SPLITS}
        self.rates = learning_rates(params, self.counts["train"], len(data.target.names))
        self.identity = pair_identity(model, data, extractor, params.precision, self.target.type)
        self.starts: dict[int, Head] = {}
        self.searched: _Searched | None = None
        self.progress = Progress(self.title, total_steps(params, len(self.rates)), deadline)

    def runs(self) -> tuple[Run, ...]:
        seeds = [self.params.seed + number for number in range(self.params.seeds)]
        return tuple(self._run(protocol, seed) for protocol in self.params.protocols for seed in seeds)

    def _run(self, protocol: Protocol, seed: int) -> Run:
        options: dict[str, Any] = {}
        if protocol == "full":
            names = ("steps", "evaluations", "patience", "seed")  # the search uses only the first seed
            options = recipe(self.params, *names) | {"search_steps": self.params.search, "learning_rates": self.rates}
        made = {"full": self._full, "head": self._head}[protocol]
        stored, cached = self._stored_or_made(f"{protocol}-{seed}", options, lambda: made(seed))
        if cached and protocol == "full":
            self.progress.skip(self.params.steps)
        return Run(
            data=self.data.name,
            data_hash=self.data.hash,
            model=self.model.name,
            weights=self.identity["weights"],
            protocol=protocol,
            seed=seed,
            image_size=max(self.config["input_size"][-2:]),
            train_images=self.counts["train"],
            val_images=self.counts["val"],
            test_images=self.counts["test"],
            device=self.target.type,
            cached=cached,
            **stored,
        )

    @cached_property
    def _device(self) -> torch.device:
        return self.held.enter_context(leased(self.target))

    @cached_property
    def _images(self) -> Images:
        return read_images(self.table, self.data, self.config, self._device, self.store)

    @cached_property
    def _training(self) -> Training:
        images = self._images  # read before the model is built, so that errors in them cost less
        training = Training(load.build(self.model), images, self.data.target, self.params, self.title)
        training.on_step = self.held.enter_context(self.progress.shown())
        return training

    def _start(self, seed: int) -> Head:
        """Return the head that full fine-tuning starts from."""
        if seed not in self.starts:
            self.starts[seed] = train_head(self._training.embedded_at_start, self.data.target, seed)
        return self.starts[seed]

    def _head(self, seed: int) -> Values:
        head = train_head(self._training.embedded, self.data.target, seed)
        return run_values(head.learning_rate, head.weight_decay, (heads.STEPS, heads.STEPS), 0.0, head.evaluations)

    def _full(self, seed: int) -> Values:
        params, training, rate = self.params, self._training, self._rate
        run = self._trajectory(seed, rate)
        if self.searched and (seed, rate) == (params.seed, self.searched.rate):
            run.restore(self.searched.snapshot, self.searched.position)
            self.progress.skip(run.position.step)
        with self.progress.run(params.steps - run.position.step):
            trained = run.finish()
        if trained is None:
            raise ModelError(
                f"{self.title}: the loss of seed {seed} stopped being finite at learning rate {rate:g}; add lower ones."
            )
        evaluations: dict[SplitName, Evaluation] = {
            "train": training.evaluate("train", trained.state),
            "val": trained.val,
            "test": training.evaluate("test", trained.state),
        }
        steps = (trained.steps, trained.best_step)
        values = run_values(rate, params.weight_decay, steps, trained.images_per_second, evaluations)
        if params.keep_weights:
            path = weights_path(self.model, self.data.name, self.data.hash, self.store)
            keep(path, weights_facts(seed, self.data.target, self.counts["test"], values), trained.state)
        return values

    def _trajectory(self, seed: int, rate: float) -> Trajectory:
        params = self.params
        return Trajectory(self._training, self._start(seed), rate, params.steps, params.evaluations, seed)

    @cached_property
    def _rate(self) -> float:
        """Return the learning rate whose run, by the first seed, is best on validation after the steps of the search."""
        found = {rate: self._searched(rate) for rate in self.rates}
        finite = {rate: values for rate, values in found.items() if values["val_loss"] is not None}
        if not finite:
            rates = ", ".join(f"{rate:g}" for rate in self.rates)
            raise ModelError(f"{self.title}: the loss stops being finite at every learning rate ({rates}); add lower ones.")
        return max(finite, key=lambda rate: (finite[rate]["val_accuracy"], -finite[rate]["val_loss"]))

    def _searched(self, rate: float) -> Values:
        seed, steps = self.params.seed, self.params.search

        def made() -> Values:
            run = self._trajectory(seed, rate)
            with self.progress.run(steps):
                run.advance(steps)
            mark = run.evaluate()
            if mark and (self.searched is None or mark.quality > self.searched.quality):
                self.searched = _Searched(rate, mark.quality, run.snapshot(), run.position)
            return {"val_accuracy": mark.accuracy if mark else None, "val_loss": mark.loss if mark else None}

        options = recipe(self.params, "steps", "evaluations", "patience") | {"search_steps": steps}
        values, cached = self._stored_or_made(f"search-{seed}-{rate:g}", options, made)
        if cached:
            self.progress.skip(steps)
        return values

    def _stored_or_made(self, run: str, options: dict[str, Any], made: Callable[[], Values]) -> tuple[Values, bool]:
        """Return the values of a run, computed and stored if missing, and whether they were stored before."""
        key = content_key(self.identity | {"run": run, "decides": options})
        path = self.store.finetuning(self.data.name, self.model.name, run, key)
        if self.resume != "always" and (found := self.records.get(path, key)):
            return found, True
        if self.resume == "only-cache":
            raise StoreError(f"{self.title}: run {run} is not stored and resume is 'only-cache'; use 'only-missing'.")
        log.debug("%s: computing %s on %s", self.title, run, self._device)  # waiting for a device does not count
        started = time.perf_counter()
        values = made()
        values["seconds"] = round(time.perf_counter() - started, 2)
        self.records.put(path, key, values)
        log.debug("%s: %s %s", self.title, run, values)
        return values, False
