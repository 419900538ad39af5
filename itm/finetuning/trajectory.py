"""A training run that can stop after any step, be stored, and go on as if it had not stopped.

The learning rates are planned for all steps, and what is random in a step depends on the seed and the number of the step only.
So a short run is the beginning of the long one, and a search that trains some models further loses nothing.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch

from itm.core.types import Protocol
from itm.finetuning.head import Evaluation, Head
from itm.finetuning.training import State, Training

Tensor = torch.Tensor


class Mark(NamedTuple):
    """The accuracy and the loss on the validation images after so many steps."""

    step: int
    accuracy: float
    loss: float

    @property
    def quality(self) -> tuple[float, float]:
        """Return what marks are compared by: accuracy, then loss."""
        return self.accuracy, -self.loss


@dataclass(frozen=True)
class Trained:
    """The best evaluation of a training run on the validation images, and the state of the plain network at that step."""

    best_step: int
    steps: int
    val: Evaluation
    state: State
    images_per_second: float


@dataclass
class Position:
    """How far a run has come. `finite` is false once the loss or a gradient was not a number; then the run is over."""

    step: int = 0
    marks: tuple[Mark, ...] = ()
    finite: bool = True
    seconds: float = 0.0  # of training steps


class Trajectory:
    """One training run of `steps` steps at a learning rate, from a head, with so many evaluations at equal distances.

    It stops early after `patience` evaluations without a better one. Several runs share the model of a `Training`, so only the
    run that was made or restored last may go on.
    """

    def __init__(
        self,
        training: Training,
        head: Head,
        learning_rate: float,
        steps: int,
        evaluations: int,
        seed: int,
        protocol: Protocol = "full",
    ) -> None:
        self.training, self.learning_rate, self.steps, self.seed = training, learning_rate, steps, seed
        self.evaluated_at = sorted({math.ceil(steps * (number + 1) / evaluations) for number in range(evaluations)})
        self.position = Position()
        self.best: State | None = None
        training.restart(head, protocol, seed)
        self._version = training.version
        self.optimiser = torch.optim.AdamW(training.parameter_groups(), lr=learning_rate, fused=True)

    @property
    def has_model(self) -> bool:
        """Return whether the model is still in the state of this run, so that the run can go on."""
        return self._version == self.training.version

    @property
    def best_mark(self) -> Mark | None:
        return max(self.position.marks, key=lambda mark: mark.quality, default=None)

    @property
    def is_over(self) -> bool:
        """Return whether no step is left: all are done, the loss is not finite, or it was not better for `patience` marks."""
        own, best = self.position, self.best_mark
        without_better = sum(mark.step > best.step for mark in own.marks) if best else 0
        return own.step >= self.steps or not own.finite or without_better >= self.training.params.patience

    def advance(self, to: int) -> None:
        """Train until step `to`, with all evaluations on the way."""
        device = self.training.images.device
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            while self.position.step < to and not self.is_over:
                self._take_step()
                if self.position.finite and self.position.step in self.evaluated_at:
                    self._mark()
                self.training.on_step()  # last, because it may end the run here and a snapshot of it must be whole

    def evaluate(self) -> Mark | None:
        """Return the evaluation at the present step, or None if the loss is not finite."""
        own = self.position
        if not own.finite:
            return None
        if own.marks and own.marks[-1].step == own.step:
            return own.marks[-1]
        found = self.training.evaluate("val")
        return Mark(own.step, found.accuracy, found.loss) if math.isfinite(found.loss) else None

    def finish(self) -> Trained | None:
        """Train to the end, and return the best state on validation; None if the loss stops being finite."""
        self.advance(self.steps)
        return self.result()

    def result(self, present: Mark | None = None) -> Trained | None:
        """Return the best state so far on validation; None if there is none, or the loss is not finite.

        Before the first evaluation of the run this is the `present` state, if its evaluation is given.
        """
        own, best, state = self.position, self.best_mark, self.best
        if best is None and present is not None:
            best, state = present, self.training.changing()
        if not own.finite or best is None or state is None:
            return None
        speed = own.step * self.training.batch_size / own.seconds if own.seconds else 0.0
        return Trained(best.step, own.step, Evaluation(best.accuracy, best.loss), self.training.merged(state), speed)

    def _take_step(self) -> None:
        training, own = self.training, self.position
        started = time.perf_counter()
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate * share(own.step, self.steps, training.params.warmup)
        own.finite = training.step(own.step, self.optimiser, self.seed)
        own.step += 1
        own.seconds += time.perf_counter() - started

    def _mark(self) -> None:
        mark, before, own = self.evaluate(), self.best_mark, self.position
        if mark is None:
            own.finite = False
            return
        own.marks += (mark,)
        if before is None or mark.quality > before.quality:
            self.best = {name: value.detach().clone() for name, value in self.training.changing().items()}

    def snapshot(self) -> State:
        """Return copies of the tensors that `restore` needs: what training changes, its moments, and the best state."""
        found = {f"model.{name}": value for name, value in self.training.changing().items()}
        for number, moments in self.optimiser.state_dict()["state"].items():
            found |= {f"moments.{number}.{name}": value for name, value in moments.items()}
        if self.best and self.best_mark and self.best_mark.step != self.position.step:  # else it is the model as it is
            found |= {f"best.{name}": value for name, value in self.best.items()}
        return {name: value.detach().clone().contiguous() for name, value in found.items()}

    def restore(self, snapshot: Mapping[str, Tensor], position: Position) -> None:
        """Go back to a snapshot of a run with the same options."""
        parts: dict[str, State] = {"model": {}, "moments": {}, "best": {}}
        for name, value in snapshot.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = value.to(self.training.images.device)
        parameters = [parameter for group in self.optimiser.param_groups for parameter in group["params"]]
        moments: dict[int, dict[str, Any]] = {}
        for name, value in parts["moments"].items():
            number, _, moment = name.partition(".")
            # fused steps are wrong where the order of dimensions in memory is not that of the parameter
            own = torch.empty_like(parameters[int(number)]).copy_(value) if value.ndim else value.clone()
            moments.setdefault(int(number), {})[moment] = own
        self.training.load(parts["model"])
        self.optimiser.load_state_dict({"state": moments, "param_groups": self.optimiser.state_dict()["param_groups"]})
        self.position = replace(position)
        at_best = self.best_mark is not None and self.best_mark.step == position.step
        self.best = parts["model"] if at_best else parts["best"] or None


def share(step: int, steps: int, warmup: float) -> float:
    """Return the factor of the learning rate at a step: linear warm-up to 1, then a cosine to zero."""
    rising = round(warmup * steps)
    if step < rising:
        return (step + 1) / (rising + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))
