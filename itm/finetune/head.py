"""A linear head on fixed embeddings: what fine-tuning starts from, and the protocol `head` by itself.

All choices of learning rate and weight decay are trained side by side, as lanes of one tensor, with the gradient of the
cross-entropy written out.
"""

import math
from dataclasses import dataclass

import torch

from itm.core.types import SplitName

Tensor = torch.Tensor
Embedded = dict[SplitName, tuple[Tensor, Tensor]]  # embeddings [n, d] and labels [n] of each split

HEAD = 2  # raise it when a change here changes heads
LEARNING_RATES = (3e-3, 1e-2)
WEIGHT_DECAYS = (0.0, 0.3, 1.0, 3.0)  # the decoupled one, which AdamW multiplies by the learning rate
STEPS = 250
BATCH = 64
FLOOR = 1e-6  # of a standard deviation: a dimension that never varies stays at zero


@dataclass(frozen=True)
class Judged:
    """How a model does on the images of a split: share that is right, mean cross-entropy in nats."""

    accuracy: float
    loss: float


@dataclass(frozen=True)
class Head:
    """The head that was best on validation: weight [classes, width] and bias [classes] for raw embeddings."""

    weight: Tensor
    bias: Tensor
    learning_rate: float
    weight_decay: float
    judged: dict[SplitName, Judged]

    @property
    def steps(self) -> int:
        """Return how many steps it was trained."""
        return STEPS


def train_head(embedded: Embedded, classes: int, seed: int) -> Head:
    """Train linear heads on standardised embeddings and return the one best on validation (accuracy, then loss).

    The standardisation is folded into its weight and bias. AdamW (Loshchilov and Hutter, ICLR 2019), cosine to zero.
    """
    train, labels = embedded["train"]
    mean, deviation = train.mean(dim=0), train.std(dim=0, correction=0).clamp_min(FLOOR)
    lanes = [(rate, decay) for rate in LEARNING_RATES for decay in WEIGHT_DECAYS]
    weights, biases = _trained((train - mean) / deviation, labels, classes, lanes, seed)
    weights = weights / deviation
    biases = biases - (weights @ mean)
    found = {
        split: [judge(x @ weight.T + bias, y) for weight, bias in zip(weights, biases, strict=True)]
        for split, (x, y) in embedded.items()
    }
    best = min(range(len(lanes)), key=lambda lane: (-found["val"][lane].accuracy, found["val"][lane].loss))
    judged = {split: values[best] for split, values in found.items()}
    return Head(weights[best].float(), biases[best].float(), *lanes[best], judged)


def judge(logits: Tensor, labels: Tensor) -> Judged:
    """Return accuracy and loss of logits [n, classes]."""
    loss = torch.nn.functional.cross_entropy(logits.double(), labels)
    return Judged(float((logits.argmax(dim=1) == labels).double().mean()), float(loss))


def _trained(x: Tensor, labels: Tensor, classes: int, lanes: list[tuple[float, float]], seed: int) -> tuple[Tensor, Tensor]:
    """Return weights [lanes, classes, width] and biases [lanes, classes] for standardised x [n, width]."""
    generator = torch.Generator().manual_seed(seed)
    n, width = x.shape
    drawn = torch.randn(classes, width, generator=generator).mul_(0.01 / math.sqrt(width)).to(x)
    weights = drawn.repeat(len(lanes), 1, 1)
    biases = x.new_zeros(len(lanes), classes)
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
        batch, targets = x[rows], labels[rows]
        error = torch.softmax(batch @ weights.transpose(1, 2) + biases[:, None], dim=2)  # p, then p - one_hot: dL / dlogits
        error[:, torch.arange(len(rows), device=x.device), targets] -= 1
        error /= len(rows)
        torch.matmul(error.transpose(1, 2), batch, out=gradients[0])
        torch.sum(error, dim=1, out=gradients[1])
        optimiser.step()
        schedule.step()
    return weights, biases
