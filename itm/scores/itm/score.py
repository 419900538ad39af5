"""ITM: held-out accuracy of embeddings that were moved the way fine-tuning would move them.

Source: Zheng, Wang, Zhou, Huang, "Implicit Modeling for Transferability Estimation of Vision Foundation Models", NeurIPS 2025,
arXiv 2510.23145, with its divide-and-conquer variational approximation (DVA).
"""

from collections.abc import Sequence

import numpy as np
import torch

from itm.core.errors import ScoreError
from itm.scores.accuracy import accuracy
from itm.scores.evaluate import Definition, Sample, Split, register
from itm.scores.itm.options import ItmOptions, check_leak
from itm.scores.itm.predict import predictions
from itm.scores.itm.rows import Rows, kept_bytes
from itm.scores.itm.training import Training, state_bytes


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
        check_leak(options, min(len(split.judge) % options.batch_size or options.batch_size for _, split in lanes), ScoreError)
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
