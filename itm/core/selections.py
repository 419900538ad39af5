"""Frozen records of selection.json: which model a search under a budget picks, and everything that it found out.

Accuracies, regrets and probabilities are shares of 1, times are seconds, and memory is in bytes.
"""

from dataclasses import dataclass
from typing import Literal

from itm.core.types import Exclusion, Failure, Protocol

Stop = Literal["budget", "confident", "no gain", "no time", "interrupted", "no model"]
Role = Literal["most accurate", "smaller", "faster"]


@dataclass(frozen=True)
class SearchBudget:
    """When a search stops.

    It stops after `seconds`, after a `share` of the estimated cost of the full grid, or once the pick is within `regret` of the
    best model with probability `confidence`. None means no such limit.
    """

    seconds: float | None = None
    share: float | None = None
    regret: float | None = None
    confidence: float = 0.95


@dataclass(frozen=True, slots=True)
class TrainedRung:
    """One experiment: a run was trained until `step`, which ended `at` so many seconds of the search.

    `accuracy` is that on the validation images. It is None if the loss was no longer finite.
    """

    at: float
    model: str
    learning_rate: float
    seed: int
    step: int
    accuracy: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class SearchState:
    """The answer after so many seconds: the pick with its expected accuracy, and how good it is.

    `regret` is the expected accuracy that the pick loses against the best model. `gain` is the expected rise per second by the
    best next experiment. `candidates` counts the models that may still be the best.
    """

    at: float
    pick: str
    accuracy: float
    low: float
    high: float
    chance_best: float
    regret: float
    gain: float
    candidates: int


@dataclass(frozen=True, slots=True)
class PredictedModel:
    """The accuracy to expect of a model after fine-tuning, with its 95 % interval, and what the model costs.

    `chance_best` is the probability that it is the best. `left_at` is when it had no chance any more, None if it still has one.
    `reached` is the accuracy on the test images of a finished run.
    """

    model: str
    weights: str | None
    accuracy: float
    low: float
    high: float
    chance_best: float
    rank: int | None = None
    gmacs: float | None = None
    parameters: int | None = None
    latency_ms: float | None = None
    left_at: float | None = None
    reached: float | None = None


@dataclass(frozen=True, slots=True)
class OtherPick:
    """Another model worth a look, and why: it is expected to be more accurate, or is smaller or faster than the pick."""

    model: str
    role: Role


@dataclass(frozen=True)
class FoundRecipe:
    """How the pick is fine-tuned best, as far as the search knows, and what it takes.

    `batch_norm` is "train", "frozen", or "auto" where it is not known. `input_size` is in pixels, height and width.
    `best_step` is None if the run is not finished. `seconds` and `memory` are estimates for one run.
    """

    protocol: Protocol
    learning_rate: float
    seed: int
    steps: int
    best_step: int | None
    batch_size: int
    weight_decay: float
    warmup: float
    crop: float
    mirror: bool
    batch_norm: str
    input_size: tuple[int, int] | None
    seconds: float | None
    memory: int | None


@dataclass(frozen=True)
class Selection:
    """The answer for one data set.

    `pick` is the recommended model, None if there is none. `spent` are the seconds of all searches with these inputs, and
    `grid_seconds` is the estimated time of the full grid: every model at every learning rate. `weights_file` has the trained
    weights of the pick, `test` their accuracy on `test_images` test images; None while the run is not finished. `stop` and
    `why` say how the search ended.
    """

    data: str
    source: str
    data_hash: str
    protocol: Protocol
    classes: int
    validation_images: int
    budget: SearchBudget
    spent: float
    grid_seconds: float | None
    stop: Stop
    why: str
    pick: str | None
    others: tuple[OtherPick, ...] = ()
    models: tuple[PredictedModel, ...] = ()
    recipe: FoundRecipe | None = None
    weights_file: str | None = None
    test: float | None = None
    test_images: int = 0
    states: tuple[SearchState, ...] = ()
    experiments: tuple[TrainedRung, ...] = ()
    curves: tuple["LearningCurve", ...] = ()
    excluded: tuple[Exclusion, ...] = ()
    failures: tuple[Failure, ...] = ()

    def of(self, model: str | None) -> PredictedModel | None:
        """Return what is predicted of a model, or None if it is not among the candidates."""
        return next((row for row in self.models if row.model == model), None)

    @property
    def best(self) -> PredictedModel | None:
        """Return what is predicted of the pick."""
        return self.of(self.pick)


@dataclass(frozen=True)
class LearningCurve:
    """The validation accuracies of one run as pairs of a step and an accuracy."""

    model: str
    learning_rate: float
    seed: int
    marks: tuple[tuple[int, float], ...]
