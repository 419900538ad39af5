"""Fine-tuning of one model by AdamW, from a head that was trained on the fixed embeddings first."""

import copy
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import nn

from itm.core.errors import ModelError
from itm.core.keys import content_key
from itm.core.progress import progress_bar
from itm.core.sections import FinetuneParams
from itm.core.types import Protocol, SplitName, TargetSpec
from itm.features.devices import precision_on
from itm.finetuning.head import Embedded, Evaluation, Head, evaluate, train_head
from itm.finetuning.images import SPLITS, Images
from itm.finetuning.lora import Adapters
from itm.finetuning.network import BatchNorm, network_of
from itm.finetuning.pixels import cell_rows
from itm.finetuning.protocols import trained_parameters
from itm.kinds import get_kind

Tensor = torch.Tensor
State = dict[str, Tensor]
CLIP = 1.0  # the longest gradient of a step
SMALL_BATCH = 16  # images; statistics of fewer say little of the data


@dataclass(frozen=True)
class Statistics:
    """How batch norm starts.

    `frozen` keeps the statistics fixed during training. `adapted` has tensors of the backbone by name, with the statistics of
    the training images; without them, training starts from those of the checkpoint.
    """

    frozen: bool
    adapted: State = field(default_factory=dict)


class Training:
    """One model on one data set; every run starts from the checkpoint again.

    Embeddings are only computed if they are needed. Set `statistics` to those of an earlier `Training` of the same pair to
    train without embeddings.
    """

    def __init__(self, backbone: nn.Module, images: Images, target: TargetSpec, params: FinetuneParams, title: str) -> None:
        self.images, self.target, self.params, self.title = images, target, params, title
        self.kind = get_kind(target.kind)
        self.on_step: Callable[[], None] = lambda: None  # called after each step
        backbone.requires_grad_(True).to(device=images.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model = network_of(backbone)
        self.checkpoint = copy.deepcopy(backbone.state_dict())
        self.trained = list(self.model.parameters())
        self.adapters: Adapters | None = None
        self._adapted: Embedded = {}
        self.version = 0  # of the weights of the model; it changes when they are replaced

    @cached_property
    def embedded(self) -> Embedded:
        """Return the embeddings by the checkpoint."""
        self._load_backbone({})
        return self._embed()

    @property
    def embedded_at_start(self) -> Embedded:
        """Return the embeddings by the checkpoint with the statistics that training starts from."""
        adapted = self.statistics.adapted
        if not adapted:
            return self.embedded
        if not self._adapted:  # the decision was made elsewhere
            self._load_backbone(adapted)
            self._adapted = self._embed()
        return self._adapted

    @cached_property
    def statistics(self) -> Statistics:
        """Decide from which statistics batch norm starts."""
        if self.params.batch_norm == "frozen" or (self.params.batch_norm == "auto" and self.batch_size < SMALL_BATCH):
            return Statistics(frozen=True)
        fixed = self.embedded if self.params.batch_norm == "auto" else None
        self._load_backbone({})
        if not self._adapt_statistics():
            return Statistics(frozen=False)
        state = self.model.backbone.state_dict()
        adapted = {name: v.clone() for name, v in state.items() if not torch.equal(v, self.checkpoint[name])}
        moved = self._embed()
        if fixed and self._are_worse(moved, fixed):
            return Statistics(frozen=True)
        self._adapted = moved
        return Statistics(frozen=False, adapted=adapted)

    @property
    def batch_size(self) -> int:
        """Return the number of images of a step: all, if there are fewer than `params.batch_size`."""
        return min(self.params.batch_size, len(self.images.splits["train"]))

    def _adapt_statistics(self) -> bool:
        """Replace the statistics of batch norm by those of one epoch of random crops, and return whether there are any.

        Training normalises by the statistics of each batch. On images unlike those of the checkpoint, a head that was fitted
        to its statistics is wrong from the first step, and small learning rates cannot correct that.
        """
        layers = [module for module in self.model.modules() if isinstance(module, BatchNorm) and module.track_running_stats]
        before = [layer.momentum for layer in layers]
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # a plain average
        seed, batches = self.params.seed, len(self.images.splits["train"]) // self.batch_size
        self.model.learn(freeze_statistics=False)
        with torch.inference_mode(), self._autocast():
            for number in range(batches if layers else 0):
                generator = torch.Generator().manual_seed(number_of(seed, "statistics", number))
                rows = self._rows(number, seed)
                self.model.embed(self.images.cropped(rows, self.params.crop, self.params.mirror, generator)[0])
        for layer, momentum in zip(layers, before, strict=True):
            layer.momentum = momentum
        return bool(layers)

    def _are_worse(self, adapted: Embedded, kept: Embedded) -> bool:
        """Return whether a head is worse on embeddings by the statistics of the data than by those of the checkpoint."""
        heads = (train_head(embedded, self.target, self.params.seed) for embedded in (kept, adapted))
        fixed, moved = (head.evaluations["val"] for head in heads)
        return (moved.accuracy, -moved.loss) <= (fixed.accuracy, -fixed.loss)

    def _embed(self) -> Embedded:
        found: Embedded = {}
        self.model.eval()
        bar = progress_bar(f"{self.title}: embeddings", sum(map(len, self.images.splits.values())), "images")
        with torch.inference_mode(), self._autocast(), bar as advance:
            for split in SPLITS:
                batches = []
                for images, labels in self.images.batches(split):
                    values = self.model.embed(images).float()
                    advance(len(labels))
                    is_map = values.ndim == 4
                    batches.append(cell_rows(values, labels, len(self.target.names)) if is_map else (values, labels))
                embedding = torch.cat([values for values, _ in batches])
                if embedding.ndim != 2 or not embedding.isfinite().all():
                    raise ModelError(f"{self.title}: embeddings are not finite numbers [images, width]; try precision fp32.")
                found[split] = embedding, torch.cat([labels for _, labels in batches])
        return {split: (values.clone(), labels.clone()) for split, (values, labels) in found.items()}

    def restart(self, head: Head, protocol: Protocol, seed: int) -> None:
        """Go back to the start, with `head` on it, and make the parameters trainable that `protocol` trains."""
        self._load_backbone(self.statistics.adapted)
        self._set_head(head)
        names = trained_parameters(self.model.backbone, protocol, self.title)
        for name, parameter in self.model.backbone.named_parameters():
            parameter.requires_grad_(name in names)
        self.model.zero_grad(set_to_none=True)  # gradients of another protocol would count when gradients are clipped
        self.trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        if protocol == "lora":
            self.adapters = Adapters(self.model, number_of(seed, "lora", 0))
            self.trained += self.adapters.parameters

    def evaluate_head(self, head: Head) -> dict[SplitName, Evaluation]:
        """Evaluate a head on the fixed checkpoint, on all splits."""
        self._load_backbone({})
        self._set_head(head)
        return {split: self.evaluate(split) for split in SPLITS}

    def _set_head(self, head: Head) -> None:
        if self.model.head.weight.shape != head.weight.shape:
            self.model.head = self.kind.head(head.weight.shape[1], self.target).to(self.images.device)
        with torch.no_grad():
            self.model.head.weight.copy_(head.weight)
            self.model.head.bias.copy_(head.bias)

    def _load_backbone(self, statistics: State) -> None:
        """Load the checkpoint, with these statistics of batch norm, and remove all adapters."""
        if self.adapters:
            self.adapters.remove()
        self.adapters, self.version = None, self.version + 1
        self.model.backbone.load_state_dict(self.checkpoint | statistics)

    def changing(self) -> State:
        """Return the tensors that training changes: trained parameters, adapters and all buffers."""
        own = self.model.named_parameters(remove_duplicate=False)
        fixed = {name for name, parameter in own if not parameter.requires_grad}
        found = {name: value for name, value in self.model.state_dict().items() if name not in fixed}
        return found | (self.adapters.state() if self.adapters else {})

    def load(self, changing: State) -> None:
        """Load what `changing` has returned."""
        own = dict(changing)
        if self.adapters:
            self.adapters.take(own)
        self.model.load_state_dict(own, strict=False)  # without the parameters that are fixed

    def merged(self, changing: State) -> State:
        """Return the state of the plain network, with merged adapters, given what training has changed."""
        if not self.adapters:
            return self.model.state_dict() | changing
        self.load(changing)
        return self.adapters.merged_state(self.model.state_dict())

    def evaluate(self, split: SplitName, state: State | None = None) -> Evaluation:
        """Evaluate the model on a split, in `state` or as it is."""
        if state is not None:
            self.model.load_state_dict(state)
            self.version += 1
        self.model.eval()
        plain = self.adapters.plain(merge=state is None) if self.adapters else nullcontext()
        with plain, torch.inference_mode(), self._autocast():
            found = [(self.model(images).float(), labels) for images, labels in self.images.batches(split)]
        return evaluate(torch.cat([outputs for outputs, _ in found]), torch.cat([targets for _, targets in found]), self.target)

    def _autocast(self) -> torch.autocast:
        """Return the context of half precision. By default it is used on a GPU."""
        precision = precision_on(self.images.device, self.params.precision)
        return torch.autocast(self.images.device.type, dtype=torch.bfloat16, enabled=precision == "bf16")

    def step(self, number: int, optimiser: torch.optim.Optimizer, seed: int) -> bool:
        """Take step `number` of a run, and return whether its loss and gradient are finite."""
        params = self.params
        torch.manual_seed(number_of(seed, "model", number))  # for models with random operations
        self.model.learn(freeze_statistics=self.statistics.frozen)
        generator = torch.Generator().manual_seed(number_of(seed, "crops", number))
        images, labels = self.images.cropped(self._rows(number, seed), params.crop, params.mirror, generator)
        with self._autocast():
            loss = self.kind.loss(self.model(images), labels, self.target)
        optimiser.zero_grad()
        loss.backward()
        length = nn.utils.clip_grad_norm_(self.trained, CLIP)
        optimiser.step()
        return bool(torch.isfinite(loss) & torch.isfinite(length))

    def _rows(self, number: int, seed: int) -> Tensor:
        """Return the rows [b] of training images of a step. They are shuffled anew each epoch; the rest of one is left out."""
        count, size = len(self.images.splits["train"]), self.batch_size
        epoch, batch = divmod(number, count // size)
        generator = torch.Generator().manual_seed(number_of(seed, "epoch", epoch))
        return torch.randperm(count, generator=generator)[batch * size : (batch + 1) * size]

    def parameter_groups(self) -> list[dict[str, object]]:
        """Return the trained parameters in two groups. Biases and scales, which have one dimension, do not decay."""
        return [
            {"params": [p for p in self.trained if p.ndim > 1], "weight_decay": self.params.weight_decay},
            {"params": [p for p in self.trained if p.ndim <= 1], "weight_decay": 0.0},
        ]


def number_of(seed: int, use: str, number: int) -> int:
    """Return the seed of one random operation, so that a run that goes on later draws the same."""
    return int(content_key([seed, use, number])[:15], 16)
