"""A linear head on fixed embeddings: the start of full fine-tuning, and the whole of the protocol `head`.

All combinations of learning rate and weight decay are trained together, as lanes of one tensor.
"""

import math
from dataclasses import dataclass

import torch

from itm.core.types import SplitName, TargetSpec
from itm.finetuning.pixels import evaluate_pixels
from itm.kinds import get_kind

Tensor = torch.Tensor
Embedded = dict[SplitName, tuple[Tensor, Tensor]]  # embeddings [n, d] and encoded targets of each split

HEAD = 3  # raise it when a change here changes heads
LEARNING_RATES = (3e-3, 1e-2)
WEIGHT_DECAYS = (0.0, 0.3, 1.0, 3.0)  # the decoupled one, which AdamW multiplies by the learning rate
STEPS = 250
BATCH = 64
FLOOR = 1e-6  # of a standard deviation, for dimensions that do not vary


@dataclass(frozen=True)
class Evaluation:
    """The main metric of the task kind and the mean training loss on the images of a split.

    Of masks, the metric is the mean IoU of pixels, and `pixel_accuracy` the share of pixels whose class is right.
    """

    accuracy: float
    loss: float
    pixel_accuracy: float | None = None


@dataclass(frozen=True)
class Head:
    """The head that was best on validation: weight [outputs, width] and bias [outputs] for raw embeddings."""

    weight: Tensor
    bias: Tensor
    learning_rate: float
    weight_decay: float
    evaluations: dict[SplitName, Evaluation]


def train_head(embedded: Embedded, target: TargetSpec, seed: int) -> Head:
    """Train linear heads on standardised embeddings and return the one best on validation (main metric, then loss).

    The standardisation is folded into its weight and bias. AdamW (Loshchilov and Hutter, ICLR 2019), cosine to zero.
    """
    train, targets = embedded["train"]
    mean, deviation = train.mean(dim=0), train.std(dim=0, correction=0).clamp_min(FLOOR)
    lanes = [(rate, decay) for rate in LEARNING_RATES for decay in WEIGHT_DECAYS]
    weights, biases = _trained((train - mean) / deviation, targets, target, lanes, seed)
    weights = weights / deviation
    biases = biases - (weights @ mean)
    found = {
        split: [evaluate(x @ weight.T + bias, y, target) for weight, bias in zip(weights, biases, strict=True)]
        for split, (x, y) in embedded.items()
    }
    best = min(range(len(lanes)), key=lambda lane: (-found["val"][lane].accuracy, found["val"][lane].loss))
    evaluations = {split: values[best] for split, values in found.items()}
    return Head(weights[best].float(), biases[best].float(), *lanes[best], evaluations)


def evaluate(outputs: Tensor, targets: Tensor, target: TargetSpec) -> Evaluation:
    """Return the main metric and the loss of outputs [n, outputs] for encoded targets, or of maps for masks."""
    if outputs.ndim == 4:
        overlap, right, loss = evaluate_pixels(outputs, targets, target)
        return Evaluation(overlap, loss, right)
    kind = get_kind(target.kind)
    predicted = kind.predictions(outputs, target)
    value = kind.main_metric.value(predicted.cpu().numpy(), targets.cpu().numpy())
    return Evaluation(value, float(kind.loss(outputs.double(), targets, target)))


def _trained(
    x: Tensor, targets: Tensor, target: TargetSpec, lanes: list[tuple[float, float]], seed: int
) -> tuple[Tensor, Tensor]:
    """Return weights [lanes, outputs, width] and biases [lanes, outputs] for standardised x [n, width]."""
    kind = get_kind(target.kind)
    outputs = kind.head(x.shape[1], target).out_features
    generator = torch.Generator().manual_seed(seed)
    n, width = x.shape
    drawn = torch.randn(outputs, width, generator=generator).mul_(0.01 / math.sqrt(width)).to(x)
    weights = drawn.repeat(len(lanes), 1, 1)
    biases = x.new_zeros(len(lanes), outputs)
    gradients = torch.empty_like(weights), torch.empty_like(biases)
    groups = []
    for lane, (rate, decay) in enumerate(lanes):
        weight, bias = weights[lane], biases[lane]
        weight.grad, bias.grad = (gradient[lane] for gradient in gradients)
        groups += [{"params": [weight], "lr": rate, "weight_decay": decay}, {"params": [bias], "lr": rate, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    order = torch.empty(0, dtype=torch.int64)
    for _ in range(STEPS):
        if len(order) < min(BATCH, n):
            order = torch.randperm(n, generator=generator)
        rows, order = order[:BATCH].to(x.device), order[BATCH:]
        batch, found = x[rows], targets[rows]
        output = (batch @ weights.transpose(1, 2) + biases[:, None]).requires_grad_()
        (error,) = torch.autograd.grad(torch.stack([kind.loss(lane, found, target) for lane in output]).sum(), output)
        torch.matmul(error.transpose(1, 2), batch, out=gradients[0])
        torch.sum(error, dim=1, out=gradients[1])
        optimiser.step()
        schedule.step()
    return weights, biases
