"""ITM: held-out accuracy of embeddings that were moved the way fine-tuning would move them.

Source: Zheng, Wang, Zhou, Huang, "Implicit Modeling for Transferability Estimation of Vision Foundation Models", NeurIPS 2025,
arXiv 2510.23145, with its divide-and-conquer variational approximation (DVA).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch

from itm.errors import ParamsError, ScoreError
from itm.scores._evolution import Evolution, InnerLoss, unit_rows, unit_rows_backward
from itm.scores.contract import Definition, Sample, Split, register

Tensor = torch.Tensor
LEAK = 0.01  # eta * n / B above which evolving held-out rows towards their own labels calls noise a pattern


@dataclass(frozen=True)
class ItmOptions:
    """The published setting.

    eta = 0 is the control that leaves the embeddings where they are. `inner_loss` pulls them towards their centres,
    `mapping_bias` gives the layer that does so a bias, and the score is the `best` or the `last` of the accuracies seen every
    `judge_every` steps.
    """

    eta: float = 0.5
    recursions: int = 1
    inner_loss: InnerLoss = "mse"
    mapping_bias: bool = False
    batch_size: int = 256
    steps: int = 500
    schedule_steps: int = 10_000
    judge_every: int = 100
    learning_rate: float = 5e-3
    weight_decay: float = 1e-2
    evaluation: Literal["transferred", "labelled"] = "transferred"
    pick: Literal["best", "last"] = "best"

    def __post_init__(self) -> None:
        for name in ("recursions", "batch_size", "steps", "judge_every", "schedule_steps"):
            if getattr(self, name) < 1:
                raise ParamsError(f"itm: {name} is {getattr(self, name)}; it must be at least 1.")
        if not 0 <= self.eta <= 1:
            raise ParamsError(f"itm: eta is {self.eta}; the evolution contracts for 0 to 1 only.")
        if self.judge_every > self.steps or self.steps > self.schedule_steps:
            raise ParamsError(
                f"itm: judge_every <= steps <= schedule_steps is needed, "
                f"not {self.judge_every}, {self.steps}, {self.schedule_steps}."
            )
        words = {"inner_loss": get_args(InnerLoss), "evaluation": ("transferred", "labelled"), "pick": ("best", "last")}
        for name, known in words.items():
            if getattr(self, name) not in known:
                raise ParamsError(f"itm: {name} is {getattr(self, name)!r}; it is {' or '.join(map(repr, known))}.")
        if self.evaluation == "labelled" and self.eta * self.recursions / self.batch_size > LEAK:
            raise ParamsError(
                f"itm: labelled evaluation moves held-out rows to their own labels, and at eta * recursions / batch_size = "
                f"{self.eta * self.recursions / self.batch_size:.3g} (> {LEAK}) it scores noise as perfect; use 'transferred'."
            )

    @property
    def evolution(self) -> Evolution:
        """Return the movement that these options ask for."""
        return Evolution(self.eta, self.recursions, self.inner_loss, self.mapping_bias)


def itm(sample: Sample, splits: Sequence[Split], options: ItmOptions) -> list[float]:
    """Return for each split the best held-out accuracy seen while training, a number from 0 to 1.

    A linear map W, b takes standardised features to C dimensions; with unit rows they are Theta and E(0). Each batch evolves
    towards the one-hot centres of its classes, and cross-entropy of a linear head V, c on the evolved rows trains both. All
    splits run as one batched program: a leading axis of every tensor counts them.
    """
    judged = len(splits[0].judge)
    smallest = judged % options.batch_size or options.batch_size
    if options.evaluation == "labelled" and options.eta * options.recursions / smallest > LEAK:
        raise ScoreError(
            f"itm: labelled evaluation needs batches without a leak, but one holds {smallest} of {judged} held-out "
            f"rows; use 'transferred'."
        )
    features = torch.from_numpy(_standardised(sample.features))
    labels = torch.from_numpy(sample.labels)
    centres = torch.eye(sample.classes)[labels]  # [N, C]
    learn = torch.from_numpy(np.stack([split.learn for split in splits]))  # [L, N_learn]
    judge = torch.from_numpy(np.stack([split.judge for split in splits]))  # [L, N_judge]
    generators = [torch.Generator().manual_seed(split.seed) for split in splits]
    parameters = _initial(features.shape[1], sample.classes, generators)
    batches = _batches(learn, generators, options.batch_size)
    optimiser = _AdamW(parameters, options)
    best = torch.zeros(len(splits), dtype=torch.float64)
    for step in range(options.steps):
        rows = next(batches)
        optimiser.step(_gradients(features[rows], centres[rows], parameters, options), step)
        if (step + 1) % options.judge_every == 0:
            if options.evaluation == "transferred":
                logits = _transferred(features, centres, learn, judge, parameters, options)
            else:
                logits = _labelled(features, centres, judge, parameters, options)
            accuracy = (logits.argmax(dim=2) == labels[judge]).double().mean(dim=1)
            best = torch.maximum(best, accuracy) if options.pick == "best" else accuracy
    if not all(torch.isfinite(p).all() for p in parameters):
        raise ScoreError("itm diverged: weights are no longer finite; lower learning_rate.")
    return [float(value) for value in best]


def _standardised(features: np.ndarray) -> np.ndarray:
    """Give each feature mean 0 and standard deviation 1 over all rows (method.md, step 1), in float32."""
    mean = features.mean(axis=0, dtype=np.float64)
    spread = features.std(axis=0, dtype=np.float64)
    standardised: np.ndarray = ((features - mean) / np.maximum(spread, 1e-6)).astype(np.float32)
    return standardised


def _initial(width: int, classes: int, generators: Sequence[torch.Generator]) -> list[Tensor]:
    """Draw W [L, D, C], b [L, 1, C], V [L, C, C], c [L, 1, C] as torch.nn.Linear does: uniform within 1 / sqrt(fan in)."""

    def uniform(rows: int, fan_in: int) -> Tensor:
        draws = [torch.rand(rows, classes, generator=generator) for generator in generators]
        drawn: Tensor = (2 * torch.stack(draws) - 1) / fan_in**0.5
        return drawn

    return [uniform(width, width), uniform(1, width), uniform(classes, classes), uniform(1, classes)]


def _batches(learn: Tensor, generators: Sequence[torch.Generator], size: int) -> Iterator[Tensor]:
    """Yield row numbers [L, B] without end, every split in its own order, shuffled anew each epoch; the last takes the rest."""
    count = learn.shape[1]
    while True:
        order = torch.stack([rows[torch.randperm(count, generator=g)] for rows, g in zip(learn, generators, strict=True)])
        yield from order.split(size, dim=1)


def _gradients(x: Tensor, centres: Tensor, parameters: list[Tensor], options: ItmOptions) -> list[Tensor]:
    """Return the gradients of the mean cross-entropy of one batch, x [L, B, D], centres [L, B, C]; no autograd graph."""
    weight, bias, head, offset = parameters
    theta, norm = unit_rows(torch.baddbmm(bias, x, weight))
    evolved, kept = options.evolution.forward(theta, centres)
    logits = torch.baddbmm(offset, evolved, head)
    d_logits = (logits.softmax(dim=2) - centres) / x.shape[1]
    d_theta = options.evolution.backward(theta, d_logits @ head.transpose(1, 2), kept)
    d_raw = unit_rows_backward(theta, norm, d_theta)
    return [
        x.transpose(1, 2) @ d_raw,
        d_raw.sum(dim=1, keepdim=True),
        evolved.transpose(1, 2) @ d_logits,
        d_logits.sum(dim=1, keepdim=True),
    ]


class _AdamW:
    """AdamW with decoupled weight decay on every parameter and a linearly falling learning rate, state updated in place."""

    def __init__(self, parameters: list[Tensor], options: ItmOptions) -> None:
        self.parameters, self.options = parameters, options
        self.first = [torch.zeros_like(p) for p in parameters]
        self.second = [torch.zeros_like(p) for p in parameters]

    def step(self, gradients: list[Tensor], number: int) -> None:
        """Take step `number`, counted from 0."""
        rate = self.options.learning_rate * (1 - number / self.options.schedule_steps)
        first_bias, second_bias = 1 - 0.9 ** (number + 1), 1 - 0.999 ** (number + 1)
        for p, gradient, first, second in zip(self.parameters, gradients, self.first, self.second, strict=True):
            p.mul_(1 - rate * self.options.weight_decay)
            first.lerp_(gradient, 0.1)
            second.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
            p.addcdiv_(first, (second.sqrt() / second_bias**0.5).add_(1e-8), value=-rate / first_bias)


def _theta(features: Tensor, parameters: list[Tensor]) -> Tensor:
    """Return Theta of all rows and splits [L, N, C]; one product with all maps side by side."""
    weight, bias = parameters[:2]
    splits, width, classes = weight.shape
    raw = features @ weight.permute(1, 0, 2).reshape(width, splits * classes)
    return unit_rows(raw.view(len(features), splits, classes).transpose(0, 1) + bias)[0]


def _transferred(
    features: Tensor, centres: Tensor, learn: Tensor, judge: Tensor, parameters: list[Tensor], options: ItmOptions
) -> Tensor:
    """Return logits [L, N_judge, C] of held-out rows, moved by the map that the learning rows evolved along."""
    theta = _theta(features, parameters)
    learnt = torch.take_along_dim(theta, learn[..., None], dim=1)
    weight, bias = options.evolution.mapping(learnt, centres[learn])
    evolved = torch.baddbmm(bias, torch.take_along_dim(theta, judge[..., None], dim=1), weight)
    return torch.baddbmm(parameters[3], evolved, parameters[2])


def _labelled(features: Tensor, centres: Tensor, judge: Tensor, parameters: list[Tensor], options: ItmOptions) -> Tensor:
    """Return logits [L, N_judge, C] of held-out rows, evolved in batches towards their own classes as the known code does."""
    theta = torch.take_along_dim(_theta(features, parameters), judge[..., None], dim=1)
    batches = zip(theta.split(options.batch_size, dim=1), centres[judge].split(options.batch_size, dim=1), strict=True)
    evolved = torch.cat([options.evolution.forward(t, c)[0] for t, c in batches], dim=1)
    return torch.baddbmm(parameters[3], evolved, parameters[2])


ITM = register(
    Definition(
        name="itm",
        function=itm,
        options=ItmOptions(),
        sampling="held_out",
        summary="Held-out accuracy of embeddings moved the way fine-tuning would move them.",
        meaning="How many held-out images a small map gets right after the embeddings of each class were drawn a step "
        "towards their centre, as fine-tuning would do. 1 is all of them.",
        lowest=0.0,
        highest=1.0,
        paper="Zheng et al., NeurIPS 2025",
    )
)
ITM_ETA0 = register(
    Definition(
        name="itm_eta0",
        function=itm,
        options=ItmOptions(eta=0.0),
        sampling="held_out",
        summary="The control of ITM: the same training with no movement at all (eta = 0).",
        meaning="What remains of ITM without its idea: a briefly trained linear probe through C dimensions. Where it ranks "
        "as ITM does, the movement added nothing.",
        lowest=0.0,
        highest=1.0,
        paper="control",
    )
)
