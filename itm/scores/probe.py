"""Probe scores: how well something small, trained on some rows, predicts the targets of the others."""

from abc import abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np

from itm.core.errors import ParamsError, ScoreError
from itm.kinds import Metric, TaskKind, get_kind
from itm.kinds.metrics import describe_range
from itm.scores.base import Evaluation, Options, Sampling, Score
from itm.scores.folds import Fold, Splitting
from itm.scores.sample import Sample

Predictions = np.ndarray  # of the test rows of one fold, comparable with their targets
Found = Sequence[Predictions] | ScoreError  # of all folds of one sample


class ProbeOptions(Options):
    """`metric` names the metric that the score is the mean of; "auto" is the main metric of the kind of task."""

    metric: str = "auto"


ProbeOptionsT = TypeVar("ProbeOptionsT", bound=ProbeOptions)


class ProbeScore(Score[ProbeOptionsT]):
    """A score that is the mean over folds of a metric of its predictions for the test rows.

    `control` are options under which nothing of the score's own idea is left; the value under them is the detail `control`.
    """

    options_type: ClassVar[type[Options]] = ProbeOptions
    sampling: ClassVar[Sampling] = "held_out"
    control: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, options: ProbeOptionsT | None = None) -> None:
        super().__init__(options)
        known = ["auto", *(metric.name for kind in self.info.kinds for metric in _rising(get_kind(kind)))]
        if self.options.metric not in known:
            raise ParamsError(
                f"score {self.info.name!r} options: metric: must be one of {', '.join(map(repr, known))} "
                f"(got {self.options.metric!r})."
            )

    @abstractmethod
    def predict(self, sample: Sample, folds: Sequence[Fold]) -> Sequence[Predictions]:
        """Return the predictions for the test rows of each fold, or raise a ScoreError."""

    def predict_together(self, samples: Sequence[Sample], folds: Sequence[Sequence[Fold]], device: str) -> Sequence[Found]:  # noqa: ARG002
        """Return what `predict` does for each sample; a score that is `together` does it in one program, on the device."""
        return [self.predict(sample, own) for sample, own in zip(samples, folds, strict=True)]

    @classmethod
    def value_range(cls, kind: TaskKind) -> str:
        return describe_range(kind.main_metric.lowest, kind.main_metric.highest)

    def prediction_key(self) -> Hashable:
        """Return a key of the predictions. Scores with equal keys predict the same, and share the predictions for a sample."""
        return type(self), self.options.model_dump_json()

    def metric(self, kind: TaskKind) -> Metric:
        """Return the metric that the score is the mean of; a ScoreError says that the kind has no such metric."""
        if self.options.metric == "auto":
            return kind.main_metric
        known = {metric.name: metric for metric in _rising(kind)}
        if self.options.metric not in known:
            raise ScoreError(
                f"{self.info.name}: {kind.name} has no metric {self.options.metric!r}; take 'auto' or one of "
                f"{', '.join(map(repr, known))}."
            )
        return known[self.options.metric]

    def evaluate(self, samples: Sequence[Sample], splitting: Splitting, device: str) -> list[Evaluation | ScoreError]:
        """Return the mean metric over folds, with the other metrics, the baseline and the control as details."""
        metrics = [self.metric(sample.kind) for sample in samples]
        found = self._predictions(samples, splitting, device)
        controls: Sequence[Found | None] = [None] * len(samples)
        if self.control:
            without = type(self)(self.options.model_copy(update=dict(self.control)))
            controls = found if without.options == self.options else without._predictions(samples, splitting, device)
        return [
            one if isinstance(one, ScoreError) else _measured(sample, splitting, one, control, metric)
            for sample, one, control, metric in zip(samples, found, controls, metrics, strict=True)
        ]

    def _predictions(self, samples: Sequence[Sample], splitting: Splitting, device: str) -> list[Found]:
        """Return the predictions for each sample, from its cache if a score with this key has computed them."""
        key = "predictions", self.prediction_key(), splitting
        missing = [sample for sample in samples if key not in sample.cache]
        if missing:
            found = self.predict_together(missing, [sample.folds(splitting) for sample in missing], device)
            for sample, one in zip(missing, found, strict=True):
                sample.cache[key] = one
        return [sample.cache[key] for sample in samples]


def _rising(kind: TaskKind) -> list[Metric]:
    """Return the metrics of a kind that are higher for better predictions, as a score must be."""
    return [metric for metric in kind.metrics if metric.higher_is_better]


def _measured(
    sample: Sample, splitting: Splitting, predicted: Sequence[Predictions], control: Found | None, metric: Metric
) -> Evaluation:
    """Compare predictions with targets, fold by fold."""
    kind, folds = sample.kind, sample.folds(splitting)
    actual = [sample.targets[fold.test] for fold in folds]

    def values(predictions: Sequence[Predictions], by: Metric) -> list[float]:
        return [by.value(one, true) for one, true in zip(predictions, actual, strict=True)]

    # From all rows: stratified folds make the commonest class of the training rows a rare one of the test rows.
    baseline = [kind.baseline(sample.targets, true) for true in actual]
    details = {one.name: float(np.mean(values(predicted, one))) for one in kind.metrics}
    details |= _by_target([kind.by_target(one, true) for one, true in zip(predicted, actual, strict=True)])
    details["baseline"] = float(np.mean(values(baseline, kind.main_metric)))
    if control is not None and not isinstance(control, ScoreError):
        details["control"] = float(np.mean(values(control, metric)))
    fold_values = values(predicted, metric)
    details = {name: value for name, value in details.items() if np.isfinite(value)}  # not every metric is always defined
    points = kind.points(np.concatenate(predicted), np.concatenate(actual))
    return Evaluation(float(np.mean(fold_values)), tuple(fold_values), details, metric.name, points)


def _by_target(folds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each metric of each target over the folds in which it is defined."""
    found = {name: [fold[name] for fold in folds if np.isfinite(fold[name])] for name in folds[0]}
    return {name: float(np.mean(values)) for name, values in found.items() if values}
