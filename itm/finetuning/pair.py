"""One model on one data set: its device, images, model and starts, which are only used if a run is missing."""

import logging
import time
from contextlib import ExitStack
from functools import cached_property

import polars as pl
import torch

from itm.core.errors import DataError
from itm.core.keys import content_key
from itm.core.sections import ExtractParams, FinetuneParams
from itm.core.types import DataRef, ModelRef, Protocol, SplitName
from itm.data.index import read_index
from itm.features.devices import device, leased
from itm.features.extractors import extractor_for
from itm.finetuning.head import train_head
from itm.finetuning.identity import pair_identity
from itm.finetuning.images import SPLITS, Images, read_images
from itm.finetuning.starts import Start, read_start, write_start
from itm.finetuning.steps import Progress, learning_rates
from itm.finetuning.training import Training
from itm.kinds.segmentation import Segmentation
from itm.store.layout import Store
from itm.store.mirror import local_store

log = logging.getLogger(__name__)


class Pair:
    """One model on one data set, and the store with its runs.

    The device is released when `held` is closed. The pair must not outlive it, so that its memory is freed before.

    Raises
    ------
    DataError
        If fine-tuning does not support the task by these protocols.
    """

    def __init__(
        self,
        model: ModelRef,
        data: DataRef,
        params: FinetuneParams,
        extract: ExtractParams,
        store: Store,
        held: ExitStack,
    ) -> None:
        if data.target.kind == Segmentation.name and not {*params.protocols} <= {"full", "head"}:
            raise DataError(f"{data.name}: for segmentation, the protocols are full and head.")
        self.model, self.data, self.params, self.resume = model, data, params, extract.resume
        self.store, self.held, self.target = local_store(store), held, device(extract.device)
        self.title = f"{model.name} on {data.name}"
        extractor = extractor_for(model, data)
        self.config = extractor.preprocessing
        self.identity = pair_identity(model, data, extractor, params.precision, self.target.type)
        self.progress = Progress(self.title, 0, None)
        self.seconds_of_starts = 0.0  # that were computed
        self._starts: dict[int, Start] = {}

    @property
    def weights(self) -> str:
        """Return the hash of the weight file."""
        found: str = self.identity["weights"]
        return found

    @cached_property
    def table(self) -> pl.DataFrame:
        return read_index(self.data, self.store)

    @cached_property
    def counts(self) -> dict[SplitName, int]:
        """Return the number of images per split."""
        usable = self.table.filter(status="ok")
        return {split: len(usable.filter(split=split)) for split in SPLITS}

    def rates(self, protocol: Protocol) -> tuple[float, ...]:
        """Return the learning rates to search."""
        return learning_rates(self.params, self.counts["train"], len(self.data.target.names), protocol)

    @cached_property
    def device(self) -> torch.device:
        return self.held.enter_context(leased(self.target))

    @cached_property
    def images(self) -> Images:
        return read_images(self.table, self.data, self.config, self.device, self.store)

    @cached_property
    def training(self) -> Training:
        images = self.images  # read before the model is built, so that errors in them cost less
        backbone = extractor_for(self.model, self.data).module
        training = Training(backbone, images, self.data.target, self.params, self.title)
        training.on_step = self.held.enter_context(self.progress.shown())
        return training

    def start(self, seed: int) -> Start:
        """Return what the runs of a seed start from, and let the training start from it."""
        if seed not in self._starts:
            self._starts[seed] = self._stored_or_new_start(seed)
            self.training.statistics = self._starts[seed].statistics
        return self._starts[seed]

    def _stored_or_new_start(self, seed: int) -> Start:
        names = ("batch_norm", "batch_size", "crop", "mirror", "precision", "seed")
        decides = self.params.model_dump(mode="json", include={*names})
        key = content_key(self.identity | {"start": seed, "decides": decides})
        path = self.store.finetuning_start(self.data.name, self.model.name, seed, key)
        if self.resume != "always" and (found := read_start(path, key, self.device)):
            return found
        training = self.training
        began = time.perf_counter()
        head = train_head(training.embedded_at_start, self.data.target, seed)
        seconds = time.perf_counter() - began
        self.seconds_of_starts += seconds
        start = Start(head, training.statistics, round(seconds, 2))
        write_start(path, key, start)
        return start
