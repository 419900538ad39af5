"""All fine-tuning runs of one (model, data) pair, each kept under its content key, so that a killed pair goes on where it was.

The protocol `full` follows Kumar et al., "Fine-tuning can distort pretrained features and underperform out-of-distribution",
ICLR 2022: a linear head is trained on the fixed embeddings first, and all weights from there. A random head would send large
gradients through the backbone until it fits; from a fitted head few steps suffice, and what the checkpoint knows is not ruined
on the way.
"""

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from itm.core.errors import ModelError, StoreError
from itm.core.keys import content_key
from itm.core.sections import ExtractParams, FinetuneParams
from itm.core.types import DataRef, ModelRef, Protocol, Resume, SplitName
from itm.data.index import read_index
from itm.features.devices import device, leased
from itm.finetune import head as heads
from itm.finetune.head import Head, Judged, train_head
from itm.finetune.images import SPLITS, Images, read_images
from itm.finetune.records import Run
from itm.finetune.training import Training
from itm.store.files import read_json, write_json
from itm.store.layout import Store
from itm.zoo import facts as zoo_facts
from itm.zoo import load

log = logging.getLogger(__name__)

Values = dict[str, Any]  # of a run, as they are stored

FINETUNER = 2  # raise it when a change here changes accuracies
PACKAGES = ("pillow", "timm", "torch", "torchvision")
LASTING = ("model", "weights", "data", "run")  # what "never" asks of runs from another version
RECIPE = ("batch_size", "warmup", "weight_decay", "crop", "mirror", "batch_norm", "precision")


def finetune(model: ModelRef, data: DataRef, params: FinetuneParams, extract: ExtractParams, store: Store) -> tuple[Run, ...]:
    """Return the fine-tuning runs of `model` on `data`, one a protocol and seed, computing what is not stored.

    Learns from the training images, chooses on the validation images, and judges on the test images. Device and resume are
    those of `extract`.

    Raises
    ------
    DataError
        If the data has no training, validation or test images, or one of them changed since it was ingested.
    ModelError
        If the model cannot be built, runs out of memory, or no learning rate keeps the loss finite.
    ParamsError
        If there is no such device.
    StoreError
        If a run cannot be written, or is not there and `extract.resume` is "only-cache".
    """
    with ExitStack() as held:
        return _Pair(model, data, params, extract, store, held).runs()  # and its memory is free before the device is


def learning_rates(params: FinetuneParams, train_images: int, classes: int) -> tuple[float, ...]:
    """Return the learning rates to search; lower ones where a class has few training images."""
    few = train_images < params.few_images * classes
    return tuple(float(f"{rate / (params.few_images_divisor if few else 1):.6g}") for rate in params.learning_rates)


class _Pair:
    """One model on one data set; a device is `held`, images are read and the model is built when a run is missing, and once."""

    def __init__(
        self, model: ModelRef, data: DataRef, params: FinetuneParams, extract: ExtractParams, store: Store, held: ExitStack
    ) -> None:
        self.model, self.data, self.params, self.resume, self.store = model, data, params, extract.resume, store
        self.held, self.target = held, device(extract.device)
        self.table = read_index(data)
        self.config = zoo_facts.preprocessing_without_weights(model)
        self.title = f"{model.name} on {data.name}"
        usable = self.table.filter(status="ok")
        self.counts = {split: len(usable.filter(split=split)) for split in SPLITS}
        self.rates = learning_rates(params, self.counts["train"], len(data.classes))
        self.identity = load.definition(model) | {
            "finetuner": FINETUNER,
            "head": heads.HEAD,
            "model": model.name,
            "weights": load.weights_hash(model),
            "preprocessing": self.config,
            "data": data.hash,
            "device": self.target.type,
            "precision": params.precision,
            "packages": {name: version(name) for name in PACKAGES},
        }
        self.starts: dict[int, Head] = {}

    def runs(self) -> tuple[Run, ...]:
        """Return one run a protocol and seed."""
        seeds = [self.params.seed + number for number in range(self.params.seeds)]
        return tuple(self._run(protocol, seed) for protocol in self.params.protocols for seed in seeds)

    def _run(self, protocol: Protocol, seed: int) -> Run:
        decides: dict[str, Any] = {}
        if protocol == "full":
            names = ("steps", "evaluations", "patience", "seed")  # the first seed searches for all
            decides = self._recipe(*names) | {"search_steps": self.params.search, "learning_rates": self.rates}
        made = {"full": self._full, "head": self._head}[protocol]
        stored, cached = self._stored_or_made(f"{protocol}-{seed}", decides, lambda: made(seed))
        return Run(
            data=self.data.name,
            data_hash=self.data.hash,
            model=self.model.name,
            weights=self.identity["weights"],
            protocol=protocol,
            seed=seed,
            image_size=self.config["input_size"][-1],
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
        return read_images(self.table, self.data.name, self.config, self._device)

    @cached_property
    def _training(self) -> Training:
        images = self._images  # what is wrong with them is found before the model is built
        return Training(load.build(self.model), images, len(self.data.classes), self.params, self.title)

    def _start(self, seed: int) -> Head:
        """Return the head that full fine-tuning starts from."""
        if seed not in self.starts:
            self.starts[seed] = train_head(self._training.embedded_at_start, len(self.data.classes), seed)
        return self.starts[seed]

    def _head(self, seed: int) -> Values:
        head = train_head(self._training.embedded, len(self.data.classes), seed)
        return _values(head.learning_rate, head.weight_decay, (head.steps, head.steps), 0.0, head.judged)

    def _full(self, seed: int) -> Values:
        params, training, rate = self.params, self._training, self._rate
        trained = training.fit(self._start(seed), rate, params.steps, params.evaluations, seed)
        if trained is None:
            raise ModelError(
                f"{self.title}: the loss of seed {seed} stopped being finite at learning rate {rate:g}; add lower ones."
            )
        judged: dict[SplitName, Judged] = {
            "train": training.judge("train", trained.state),
            "val": trained.val,
            "test": training.judge("test", trained.state),
        }
        steps = (trained.steps, trained.best_step)
        return _values(rate, params.weight_decay, steps, trained.images_per_second, judged)

    @cached_property
    def _rate(self) -> float:
        """Return the learning rate whose short run, from the head of the first seed, was best on validation."""
        found = {rate: self._searched(rate) for rate in self.rates}
        finite = {rate: values for rate, values in found.items() if values["val_loss"] is not None}
        if not finite:
            rates = ", ".join(f"{rate:g}" for rate in self.rates)
            raise ModelError(f"{self.title}: the loss stops being finite at every learning rate ({rates}); add lower ones.")
        return max(finite, key=lambda rate: (finite[rate]["val_accuracy"], -finite[rate]["val_loss"]))

    def _searched(self, rate: float) -> Values:
        seed, steps = self.params.seed, self.params.search

        def made() -> Values:
            trained = self._training.fit(self._start(seed), rate, steps, 1, seed)
            accuracy, loss = (trained.val.accuracy, trained.val.loss) if trained else (None, None)
            return {"val_accuracy": accuracy, "val_loss": loss}

        return self._stored_or_made(f"search-{seed}-{rate:g}", self._recipe() | {"search_steps": steps}, made)[0]

    def _recipe(self, *more: str) -> dict[str, Any]:
        return self.params.model_dump(mode="json", include={*RECIPE, *more})

    def _stored_or_made(self, run: str, decides: dict[str, Any], made: Callable[[], Values]) -> tuple[Values, bool]:
        """Return what is stored of a run, or compute and store it; and whether it was stored."""
        identity = self.identity | {"run": run, "decides": decides}
        key = content_key(identity)
        path = self.store.finetuning(self.data.name, self.model.name, run, key)
        if self.resume != "always" and (found := _stored(path, identity, key, self.resume)):
            return found, True
        if self.resume == "only-cache":
            raise StoreError(f"{self.title}: run {run} is not stored and resume is 'only-cache'; use 'only-missing'.")
        log.debug("%s: computing %s on %s", self.title, run, self._device)  # to wait for a device is no part of its seconds
        started = time.perf_counter()
        values = made()
        values["seconds"] = round(time.perf_counter() - started, 2)
        write_json(path, {"key": key, "identity": identity, "values": values})
        log.debug("%s: %s %s", self.title, run, values)
        return values, False


def _stored(path: Path, identity: dict[str, Any], key: str, resume: Resume) -> Values | None:
    """Return the stored values of this identity; with "never", else the newest of another version with the same inputs."""
    versions = path.parent.glob(f"{path.name.removesuffix(f'-{key[:16]}.json')}-*.json") if resume == "never" else ()
    for candidate in [path, *sorted(versions, key=lambda version: version.stat().st_mtime, reverse=True)]:
        if not candidate.exists():
            continue
        try:
            stored = read_json(candidate)
            known, values = stored["identity"], dict(stored["values"])
        except (StoreError, KeyError, TypeError, ValueError) as error:
            log.warning("%s is damaged (%s); computing it again", candidate, error)
            continue
        if stored["key"] == key or (resume == "never" and all(known.get(name) == identity[name] for name in LASTING)):
            return values
    return None


def _values(rate: float, decay: float, steps: tuple[int, int], speed: float, judged: dict[SplitName, Judged]) -> Values:
    """Return what is stored of a finished run; `steps` are those taken and the best."""
    return {
        "learning_rate": rate,
        "weight_decay": decay,
        "steps": steps[0],
        "best_step": steps[1],
        "train_accuracy": judged["train"].accuracy,
        "val_accuracy": judged["val"].accuracy,
        "val_loss": judged["val"].loss,
        "test_accuracy": judged["test"].accuracy,
        "test_loss": judged["test"].loss,
        "images_per_second": round(speed, 1),
    }
