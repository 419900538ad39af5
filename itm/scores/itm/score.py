"""ITM: held-out accuracy of embeddings that were moved as fine-tuning would move them.

Source: Zheng, Wang, Zhou, Huang, "Implicit Modeling for Transferability Estimation of Vision Foundation Models", NeurIPS 2025,
arXiv 2510.23145, with its divide-and-conquer variational approximation (DVA).
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from itm.core.errors import ScoreError
from itm.scores.base import CLASSES, ScoreInfo
from itm.scores.folds import Fold
from itm.scores.itm.options import ItmOptions, leak
from itm.scores.probe import Found, Predictions, ProbeScore
from itm.scores.registry import register
from itm.scores.sample import Sample

if TYPE_CHECKING:
    import torch  # takes seconds to import, and the name of a score is checked without it


@register
class Itm(ProbeScore[ItmOptions]):
    """Accuracy of a small classifier after the embeddings of each class have moved towards its centre.

    A linear map W, b takes standardised features to K dimensions; its rows scaled to length 1 are Theta = E^(0). Each batch
    evolves towards the centres of its classes. Cross-entropy of a linear head V, c on the evolved rows trains both.
    """

    options_type = ItmOptions
    together = True
    control: ClassVar[Mapping[str, Any]] = {"eta": 0.0}
    info = ScoreInfo(
        name="itm",
        summary="Held-out accuracy of embeddings moved as fine-tuning would move them.",
        meaning="The share of held-out images that a small classifier predicts correctly after the embeddings of each class "
        "were moved a step towards its centre, as fine-tuning would do. 1 is all of them.",
        paper="Zheng et al., NeurIPS 2025",
        cost="500 short training steps per fold",
        kinds=(*CLASSES, "multilabel", "regression"),
        version=2,
    )

    def predict(self, sample: Sample, folds: Sequence[Fold]) -> Sequence[Predictions]:
        """Return the predictions for the test rows of each fold, computed on the CPU."""
        (found,) = self.predict_together([sample], [folds], "cpu")
        if isinstance(found, ScoreError):
            raise found
        return found

    def predict_together(self, samples: Sequence[Sample], folds: Sequence[Sequence[Fold]], device: str) -> list[Found]:
        """Return the predictions for the test rows of each fold of each sample, or why there are none.

        All folds of a sample are trained as one batched program. On an accelerator those of all samples, which have equal
        shapes, are trained together as far as memory allows; rounding may then differ from that of a sample alone.
        """
        import torch

        from itm.scores.itm.rows import kept_bytes
        from itm.scores.itm.training import state_bytes

        where = torch.device(device)
        where = where if where.type == "cuda" else torch.device("cpu")  # other devices lack operations of the optimiser
        room, most = None, 1  # on a CPU one sample at a time: together they are not faster, and rounding would differ
        if where.type == "cuda":
            free = torch.cuda.mem_get_info(where)[0] + torch.cuda.memory_reserved(where) - torch.cuda.memory_allocated(where)
            room = free // 4
            state = state_bytes(samples[0], len(folds[0]), self.options)
            most = max(1, min(room // kept_bytes(samples[0]), room // state))
        results: list[Found] = []
        for start in range(0, len(samples), most):
            own = slice(start, start + most)
            results += self._train(samples[own], folds[own], where, room)
        return results

    def _train(
        self, samples: Sequence[Sample], folds: Sequence[Sequence[Fold]], device: "torch.device", room: int | None
    ) -> list[Found]:
        import torch

        from itm.scores.itm.predict import predictions
        from itm.scores.itm.rows import Rows
        from itm.scores.itm.targets import TARGETS
        from itm.scores.itm.training import Training

        options, targets = self.options, TARGETS[samples[0].kind.name]
        outputs = targets.outputs(samples[0])
        lanes = [(sample, fold) for sample, own in zip(samples, folds, strict=True) for fold in own]
        self._check(outputs, [len(fold.test) for _, fold in lanes], samples[0].kind.name if targets.own_centres else "")
        labels = torch.from_numpy(np.concatenate([targets.encode(sample) for sample in samples]))
        training = Training(Rows(samples, device, room), labels, outputs, folds, options, targets)
        metric = self.metric(samples[0].kind)
        best = [-np.inf] * len(lanes)
        predicted: list[np.ndarray] = [np.empty(0)] * len(lanes)
        converged = torch.ones(len(lanes), dtype=torch.bool)
        batches = training.batches()
        for step in range(1, options.steps + 1):
            probability = training.step(next(batches))
            if step % options.evaluate_every and step != options.steps:
                continue
            converged &= ~torch.isnan(probability).any(dim=1).cpu()
            if step % options.evaluate_every:
                continue
            for lane, ((sample, fold), one) in enumerate(zip(lanes, predictions(training), strict=True)):
                found = targets.decode(one.numpy(), sample)
                value = metric.value(found, sample.targets[fold.test])
                if value > best[lane] or options.pick == "last":
                    best[lane], predicted[lane] = value, found
        results: list[Found] = []
        for start in range(0, len(lanes), len(folds[0])):
            own = slice(start, start + len(folds[0]))
            diverged = ScoreError(
                f"itm diverged: its loss is no longer a number; learning_rate is {options.learning_rate}, lower it."
            )
            results.append(predicted[own] if converged[own].all() else diverged)
        return results

    def _check(self, classes: int, test_sizes: Sequence[int], own_centres: str) -> None:
        """Raise a ScoreError if the options do not hold for so many classes and test rows per fold.

        `own_centres` is the kind of task if it has the targets of each row as its centre.
        """
        options = self.options
        if own_centres and (options.centres != "one_hot" or options.inner_loss == "cross_entropy"):
            raise ScoreError(
                f"itm: the centres of {own_centres} are its targets, which are no distribution over classes; use the default "
                "of centres, and inner_loss 'mse' or 'mae'."
            )
        if options.evaluation == "labelled":
            last = min(size % options.batch_size or options.batch_size for size in test_sizes)
            if problem := leak(options, last):
                raise ScoreError(f"itm: {problem}.")
        if options.centres == "principal_axes" and 0 < options.centre_dimensions < classes:
            raise ScoreError(
                f"itm: {classes} classes need as many principal axes, but centre_dimensions is {options.centre_dimensions}; "
                f"use 0 or at least {classes}."
            )


class ItmEta0Options(ItmOptions):
    """The options of ITM with `eta` 0."""

    eta: float = Field(0.0, ge=0, le=1)


@register
class ItmEta0(Itm):
    options_type = ItmEta0Options
    control: ClassVar[Mapping[str, Any]] = {}
    info = ScoreInfo(
        name="itm_eta0",
        role="control",
        summary="The control of ITM: the same training with no movement at all (eta = 0).",
        meaning="What remains of ITM without its idea: a briefly trained linear probe through C dimensions. Where it ranks "
        "models as ITM does, the movement added nothing.",
        paper="control",
        cost="500 short training steps per fold",
        kinds=(*CLASSES, "multilabel", "regression"),
        version=2,
    )

    def prediction_key(self) -> Hashable:
        """Return the key of ITM: its control with the same options predicts the same."""
        return Itm, self.options.model_dump_json()
