"""Full fine-tuning of one model: all weights by AdamW, from a head that was trained on the fixed embeddings first."""

import copy
from collections.abc import Callable

import torch
from torch import nn

from itm.core.errors import ModelError
from itm.core.keys import content_key
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

    def restart(self, head: Head) -> None:
        """Go back to the checkpoint, with `head` on it."""
        self.model.backbone.load_state_dict(self.start)
        with torch.no_grad():
            self.model.head.weight.copy_(head.weight)
            self.model.head.bias.copy_(head.bias)

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

    def step(self, number: int, optimiser: torch.optim.Optimizer, seed: int) -> bool:
        """Take step `number` of a run, and return whether its loss and gradient are finite."""
        params = self.params
        torch.manual_seed(number_of(seed, "model", number))  # for models with random operations
        self.model.learn(freeze_statistics=self.freezes)
        generator = torch.Generator().manual_seed(number_of(seed, "crops", number))
        images, labels = self.images.cropped(self._rows(number, seed), params.crop, params.mirror, generator)
        with self._autocast():
            loss = self.kind.loss(self.model(images), labels)
        optimiser.zero_grad()
        loss.backward()
        length = nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        optimiser.step()
        return bool(torch.isfinite(loss) & torch.isfinite(length))

    def _rows(self, number: int, seed: int) -> Tensor:
        """Return the rows [b] of training images of a step. They are shuffled anew each epoch; the rest of one is left out."""
        count, size = len(self.images.splits["train"]), self.batch_size
        epoch, batch = divmod(number, count // size)
        generator = torch.Generator().manual_seed(number_of(seed, "epoch", epoch))
        return torch.randperm(count, generator=generator)[batch * size : (batch + 1) * size]

    def parameter_groups(self) -> list[dict[str, object]]:
        """Return the parameters in two groups. Biases and scales, which have one dimension, do not decay."""
        parameters = list(self.model.parameters())
        return [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": self.params.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]


def number_of(seed: int, use: str, number: int) -> int:
    """Return the seed of one random operation, so that a run that goes on later draws the same."""
    return int(content_key([seed, use, number])[:15], 16)
