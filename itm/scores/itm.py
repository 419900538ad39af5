"""ITM: held-out accuracy of embeddings that were moved the way fine-tuning would move them.

Source: Zheng, Wang, Zhou, Huang, "Implicit Modeling for Transferability Estimation of Vision Foundation Models", NeurIPS 2025,
arXiv 2510.23145, with its divide-and-conquer variational approximation (DVA).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch

from itm.errors import ItmError, ParamsError, ScoreError
from itm.scores import _centres
from itm.scores._accuracy import Metric, accuracy, check_metric
from itm.scores._evolution import Evolution, InnerLoss
from itm.scores._judging import predictions
from itm.scores._rows import Rows, kept_bytes
from itm.scores._training import Training, state_bytes
from itm.scores.contract import Definition, Sample, Split, register

LEAK = 0.01  # eta * n / B above which evolving held-out rows towards their own labels calls noise a pattern


@dataclass(frozen=True)
class ItmOptions:
    """Every switch of the method, the published setting being the default.

    Evolution: `eta` is the step of each of the `recursions`, 0 being the control that leaves embeddings where they are;
    `inner_loss` pulls them, by a mapping layer with or without `mapping_bias`, towards `centres`, which lie in
    `centre_dimensions` (0: as many as classes) and are placed by mean and std of the embeddings with `centre_offset`.

    Training: `hidden_blocks` of Linear(D -> D) and ReLU stand before the map; AdamW takes `steps` on batches of `batch_size`
    with `learning_rate` falling linearly to 0 over `schedule_steps`, and `weight_decay`.

    Evaluation: every `judge_every` steps, by the map `transferred` from the rows learnt from or, as the known code does it, by
    the true `labelled` classes; the score is the `best` of these or the `last`, by `metric`.
    """

    eta: float = 0.5
    recursions: int = 1
    inner_loss: InnerLoss = "mse"
    mapping_bias: bool = False
    centres: _centres.Kind = "one_hot"
    centre_dimensions: int = 0
    centre_offset: bool = False
    hidden_blocks: int = 0
    batch_size: int = 256
    steps: int = 500
    schedule_steps: int = 10_000
    judge_every: int = 100
    learning_rate: float = 5e-3
    weight_decay: float = 1e-2
    evaluation: Literal["transferred", "labelled"] = "transferred"
    pick: Literal["best", "last"] = "best"
    metric: Metric = "accuracy"

    def __post_init__(self) -> None:
        for name in ("recursions", "batch_size", "steps", "judge_every", "schedule_steps"):
            if getattr(self, name) < 1:
                raise ParamsError(f"itm: {name} is {getattr(self, name)}; it must be at least 1.")
        for name in ("centre_dimensions", "hidden_blocks", "weight_decay"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ParamsError(f"itm: {name} is {getattr(self, name)}; it must not be negative.")
        if not 0 < self.learning_rate < np.inf:
            raise ParamsError(f"itm: learning_rate is {self.learning_rate}; it must be above 0.")
        if not 0 <= self.eta <= 1:
            raise ParamsError(f"itm: eta is {self.eta}; the evolution contracts for 0 to 1 only.")
        if not self.judge_every <= self.steps <= self.schedule_steps:
            raise ParamsError(
                f"itm: judge_every <= steps <= schedule_steps is needed, "
                f"not {self.judge_every}, {self.steps}, {self.schedule_steps}."
            )
        check_metric("itm", self.metric)
        words = {
            "inner_loss": get_args(InnerLoss),
            "centres": get_args(_centres.Kind),
            "evaluation": ("transferred", "labelled"),
            "pick": ("best", "last"),
        }
        for name, known in words.items():
            if getattr(self, name) not in known:
                raise ParamsError(f"itm: {name} is {getattr(self, name)!r}; it is {' or '.join(map(repr, known))}.")
        if self.centres == "one_hot" and self.centre_dimensions:
            raise ParamsError(
                f"itm: centre_dimensions is {self.centre_dimensions}, but one_hot centres have as many as classes; "
                f"use 0, or centres 'random' or 'principal_axes'."
            )
        if self.inner_loss == "cross_entropy" and (self.centres != "one_hot" or self.centre_offset):
            raise ParamsError(
                f"itm: inner_loss cross_entropy needs centres that are distributions over classes, not {self.centres!r}"
                f"{' with an offset' if self.centre_offset else ''}; use one_hot without centre_offset."
            )
        if self.evaluation == "labelled":
            _check_leak(self, self.batch_size, ParamsError)

    @property
    def evolution(self) -> Evolution:
        """Return the movement that these options ask for."""
        return Evolution(self.eta, self.recursions, self.inner_loss, self.mapping_bias)


def itm(
    samples: Sequence[Sample], splits: Sequence[Sequence[Split]], options: ItmOptions, device: str
) -> list[list[np.ndarray] | ScoreError]:
    """Return for each sample the classes predicted for each split's judged rows, or why there are none.

    A linear map W, b takes standardised features to K dimensions; with unit rows they are Theta and E^(0). Each batch evolves
    towards the centres of its classes, and cross-entropy of a linear head V, c on the evolved rows trains both. All splits of
    a sample are trained as one batched program; on an accelerator those of all samples, which are of one shape, as far as its
    memory goes, and their rounding may then differ from what it is alone.
    """
    where = torch.device(device)
    where = where if where.type == "cuda" else torch.device("cpu")  # the others lack what the optimiser needs
    room, most = None, 1  # on a CPU company wins nothing, and rounding would depend on it
    if where.type == "cuda":
        free = torch.cuda.mem_get_info(where)[0] + torch.cuda.memory_reserved(where) - torch.cuda.memory_allocated(where)
        room = free // 4
        most = max(1, min(room // kept_bytes(samples[0]), room // state_bytes(samples[0], len(splits[0]), options)))
    results: list[list[np.ndarray] | ScoreError] = []
    for start in range(0, len(samples), most):
        results += _together(samples[start : start + most], splits[start : start + most], options, where, room)
    return results


def _together(
    samples: Sequence[Sample],
    splits: Sequence[Sequence[Split]],
    options: ItmOptions,
    device: torch.device,
    room: int | None,
) -> list[list[np.ndarray] | ScoreError]:
    classes = samples[0].classes
    lanes = [(sample, split) for sample, parts in zip(samples, splits, strict=True) for split in parts]
    if options.evaluation == "labelled":
        _check_leak(options, min(len(split.judge) % options.batch_size or options.batch_size for _, split in lanes), ScoreError)
    if options.centres == "principal_axes" and 0 < options.centre_dimensions < classes:
        raise ScoreError(
            f"itm: {classes} classes need as many principal axes, but centre_dimensions is {options.centre_dimensions}; "
            f"use 0 or at least {classes}."
        )
    labels = torch.from_numpy(np.concatenate([sample.labels for sample in samples]))
    training = Training(Rows(samples, device, room), labels, classes, splits, options)
    best = [-1.0] * len(lanes)
    predicted: list[np.ndarray] = [np.empty(0)] * len(lanes)
    sound = torch.ones(len(lanes), dtype=torch.bool)
    batches = training.batches()
    for step in range(1, options.steps + 1):
        given = training.step(next(batches))
        if step % options.judge_every and step != options.steps:
            continue
        sound &= ~torch.isnan(given).any(dim=1).cpu()
        if step % options.judge_every:
            continue
        for lane, ((sample, split), one) in enumerate(zip(lanes, predictions(training), strict=True)):
            found = one.numpy()
            value = accuracy(found, sample.labels[split.judge], options.metric)
            if value > best[lane] or options.pick == "last":
                best[lane], predicted[lane] = value, found
    results: list[list[np.ndarray] | ScoreError] = []
    for start in range(0, len(lanes), len(splits[0])):
        own = slice(start, start + len(splits[0]))
        diverged = ScoreError(
            f"itm diverged: its loss is no longer a number; learning_rate is {options.learning_rate}, lower it."
        )
        results.append(predicted[own] if sound[own].all() else diverged)
    return results


def _check_leak(options: ItmOptions, smallest: int, kind: type[ItmError]) -> None:
    """Refuse labelled evaluation in batches so small that a row's own label shows through."""
    leak = options.eta * options.recursions / smallest
    if leak > LEAK:
        raise kind(
            f"itm: labelled evaluation moves held-out rows to their own labels, and with batches of {smallest} rows at "
            f"eta * recursions / rows = {leak:.3g} (> {LEAK}) it scores noise as perfect; use 'transferred'."
        )


ITM = register(
    Definition(
        name="itm",
        function=itm,
        options=ItmOptions(),
        sampling="held_out",
        batched=True,
        control={"eta": 0.0},
        summary="Held-out accuracy of embeddings moved the way fine-tuning would move them.",
        meaning="How many held-out images a small map gets right after the embeddings of each class were drawn a step "
        "towards their centre, as fine-tuning would do. 1 is all of them.",
        lowest=0.0,
        highest=1.0,
        paper="Zheng et al., NeurIPS 2025",
        cost="500 short training steps for each split",
    )
)
ITM_ETA0 = register(
    Definition(
        name="itm_eta0",
        function=itm,
        options=ItmOptions(eta=0.0),
        sampling="held_out",
        batched=True,
        summary="The control of ITM: the same training with no movement at all (eta = 0).",
        meaning="What remains of ITM without its idea: a briefly trained linear probe through C dimensions. Where it ranks "
        "as ITM does, the movement added nothing.",
        lowest=0.0,
        highest=1.0,
        paper="control",
        cost="500 short training steps for each split",
    )
)
