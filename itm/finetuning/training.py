"""Full fine-tuning of one model: all weights by AdamW, from a head that was trained on the fixed embeddings first."""

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from torch import nn

from itm.core.errors import ModelError
from itm.core.progress import progress_bar
from itm.core.sections import FinetuneParams
from itm.core.types import SplitName, TargetSpec
from itm.features.devices import precision_on
from itm.finetuning.head import Embedded, Evaluation, Head, evaluate, train_head
from itm.finetuning.images import SPLITS, Images
from itm.kinds import get_kind

Tensor = torch.Tensor
CLIP = 1.0  # the longest gradient of a step
SMALL_BATCH = 16  # images; statistics of fewer say little of the data
DROPS = ("DropPath", "Dropout", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout", "PatchDropout", "DropBlock2d")
BatchNorm = nn.modules.batchnorm._BatchNorm


@dataclass(frozen=True)
class Trained:
    """The best evaluation of a training run on the validation images, and the state of the model at that step."""

    best_step: int
    steps: int
    val: Evaluation
    state: dict[str, Tensor]
    images_per_second: float


class Network(nn.Module):
    """A backbone with a new linear head. It works for every model with the embedding interface of timm."""

    def __init__(self, backbone: nn.Module, head: nn.Linear) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def embed(self, images: Tensor) -> Tensor:
        """Return the embeddings [b, width] of inputs [b, 3, height, width]."""
        features = self.backbone.forward_features(images)  # type: ignore[operator]
        embedding: Tensor = self.backbone.forward_head(features, pre_logits=True)  # type: ignore[operator]
        return embedding

    def forward(self, images: Tensor) -> Tensor:
        """Return the outputs [b, outputs] of inputs [b, 3, height, width]."""
        outputs: Tensor = self.head(self.embed(images))
        return outputs

    def learn(self, freeze_statistics: bool) -> None:
        """Go to training mode without dropout, which only slows short runs, and with fixed batch statistics if requested."""
        self.train()
        for module in self.modules():
            if type(module).__name__ in DROPS or (freeze_statistics and isinstance(module, BatchNorm)):
                module.eval()


class Training:
    """One model on one data set; every run starts from the checkpoint again."""

    def __init__(self, backbone: nn.Module, images: Images, target: TargetSpec, params: FinetuneParams, title: str) -> None:
        self.images, self.target, self.params, self.title = images, target, params, title
        self.kind = get_kind(target.kind)
        self.on_step: Callable[[], None] = lambda: None  # called after each step
        device = images.device
        backbone.requires_grad_(True).to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model = Network(backbone, nn.Linear(1, 1))  # the width is known once there are embeddings
        self.embedded = self._embed()
        width = self.embedded["train"][0].shape[1]
        self.model.head = self.kind.head(width, target).to(device)
        self.start, self.embedded_at_start = copy.deepcopy(backbone.state_dict()), self.embedded
        self.freezes = params.batch_norm == "frozen" or (params.batch_norm == "auto" and self.batch_size < SMALL_BATCH)
        if not self.freezes and self._adapt_statistics():
            adapted = self._embed()
            self.freezes = params.batch_norm == "auto" and self._are_worse(adapted)
            if not self.freezes:
                self.start, self.embedded_at_start = copy.deepcopy(backbone.state_dict()), adapted

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
        generator = torch.Generator().manual_seed(self.params.seed)
        self.model.learn(freeze_statistics=False)
        with torch.inference_mode(), self._autocast():
            batches = self._batches(generator) if layers else iter(())
            for rows in islice(batches, len(self.images.splits["train"]) // self.batch_size):
                self.model.embed(self.images.cropped(rows, self.params.crop, self.params.mirror, generator)[0])
        for layer, momentum in zip(layers, before, strict=True):
            layer.momentum = momentum
        return bool(layers)

    def _are_worse(self, adapted: Embedded) -> bool:
        """Return whether a head is worse on embeddings by the statistics of the data than by those of the checkpoint."""
        heads = (train_head(embedded, self.target, self.params.seed) for embedded in (self.embedded, adapted))
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
                    batches.append((self.model.embed(images).float(), labels))
                    advance(len(labels))
                embedding = torch.cat([values for values, _ in batches])
                if embedding.ndim != 2 or not embedding.isfinite().all():
                    raise ModelError(f"{self.title}: embeddings are not finite numbers [images, width]; try precision fp32.")
                found[split] = embedding, torch.cat([labels for _, labels in batches])
        return {split: (values.clone(), labels.clone()) for split, (values, labels) in found.items()}

    def fit(self, head: Head, learning_rate: float, steps: int, evaluations: int, seed: int) -> Trained | None:
        """Train for `steps` with warm-up and cosine decay; return None if the loss stops being finite.

        The result has the best state on validation (accuracy, then loss). Training stops early after `patience` evaluations
        without a better one.
        """
        with torch.random.fork_rng([self.images.device] if self.images.device.type == "cuda" else []):
            torch.manual_seed(seed)  # for models with random operations
            return self._fit(head, learning_rate, steps, evaluations, seed)

    def _fit(self, head: Head, learning_rate: float, steps: int, evaluations: int, seed: int) -> Trained | None:
        params, model = self.params, self.model
        model.backbone.load_state_dict(self.start)
        with torch.no_grad():
            model.head.weight.copy_(head.weight)
            model.head.bias.copy_(head.bias)
        optimiser = torch.optim.AdamW(self._groups(), lr=learning_rate, fused=True)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _share(step, steps, params.warmup))
        generator = torch.Generator().manual_seed(seed)
        batches = self._batches(generator)
        evaluated_at = {round(steps * (number + 1) / evaluations) for number in range(evaluations)}
        best: Trained | None = None
        without_better, trained, seconds = 0, 0, 0.0
        for step in range(1, steps + 1):
            started = time.perf_counter()
            rows = next(batches)
            finite = self._step(rows, optimiser, generator)
            schedule.step()
            trained, seconds = trained + len(rows), seconds + time.perf_counter() - started
            self.on_step()
            if not finite:
                return None
            if step not in evaluated_at:
                continue
            found = self.evaluate("val")
            if not math.isfinite(found.loss):
                return None
            if best is None or (found.accuracy, -found.loss) > (best.val.accuracy, -best.val.loss):
                without_better, best = 0, Trained(step, step, found, copy.deepcopy(model.state_dict()), 0.0)
            else:
                without_better += 1
            if without_better == params.patience:
                break
        assert best is not None
        return Trained(best.best_step, step, best.val, best.state, trained / seconds)

    def evaluate(self, split: SplitName, state: dict[str, Tensor] | None = None) -> Evaluation:
        """Evaluate the model on a split, in `state` or as it is."""
        if state is not None:
            self.model.load_state_dict(state)
        self.model.eval()
        with torch.inference_mode(), self._autocast():
            found = [(self.model(images).float(), labels) for images, labels in self.images.batches(split)]
        return evaluate(torch.cat([outputs for outputs, _ in found]), torch.cat([targets for _, targets in found]), self.target)

    def _autocast(self) -> torch.autocast:
        """Return the context of half precision. By default it is used on a GPU."""
        precision = precision_on(self.images.device, self.params.precision)
        return torch.autocast(self.images.device.type, dtype=torch.bfloat16, enabled=precision == "bf16")

    def _step(self, rows: Tensor, optimiser: torch.optim.Optimizer, generator: torch.Generator) -> bool:
        """Take one step on training images `rows`, and return whether its loss and gradient are finite."""
        params = self.params
        self.model.learn(freeze_statistics=self.freezes)
        images, labels = self.images.cropped(rows, params.crop, params.mirror, generator)
        with self._autocast():
            loss = self.kind.loss(self.model(images), labels)
        optimiser.zero_grad()
        loss.backward()
        length = nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        optimiser.step()
        return bool(torch.isfinite(loss) & torch.isfinite(length))

    def _batches(self, generator: torch.Generator) -> Iterator[Tensor]:
        """Yield rows [b] of training images without end, shuffled anew each epoch, the rest of an epoch left out."""
        count, size = len(self.images.splits["train"]), self.batch_size
        while True:
            yield from torch.randperm(count, generator=generator)[: count // size * size].split(size)

    def _groups(self) -> list[dict[str, object]]:
        """Return the parameters in two groups. Biases and scales, which have one dimension, do not decay."""
        parameters = list(self.model.parameters())
        return [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": self.params.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]


def _share(step: int, steps: int, warmup: float) -> float:
    """Return the factor of the learning rate at a step: linear warm-up to 1, then a cosine to zero."""
    rising = round(warmup * steps)
    if step < rising:
        return (step + 1) / (rising + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))
