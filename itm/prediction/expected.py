"""The accuracy to expect of ranked models after fine-tuning, from what a ranking holds."""

from collections.abc import Iterable, Sequence

import numpy as np

from itm.core.rankings import PredictedAccuracy, RankedModel
from itm.prediction.parameters import PriorParameters
from itm.prediction.prior import PROBES, Belief, Known, expect
from itm.prediction.scale import accuracy_interval, from_angle

LEVEL = 0.95  # of the intervals that are reported


def known_of(row: RankedModel) -> Known:
    """Return what a ranking knows of a model."""
    features = {name: row.scores[name].value for name in PROBES if name in row.scores}
    if row.facts:
        features["parameters"] = float(row.facts.parameters)
        if row.facts.batch_norm is not None:
            features["batch_norm"] = float(row.facts.batch_norm)
    return Known(row.model, row.weights, features)


def belief(rows: Iterable[RankedModel], parameters: PriorParameters) -> Belief:
    """Return what to expect of ranked models before any fine-tuning."""
    return expect([known_of(row) for row in rows], parameters)


def predicted(rows: Sequence[RankedModel], parameters: PriorParameters) -> list[PredictedAccuracy | None]:
    """Return the predicted accuracy of each model; None where a cross-validated accuracy is missing."""
    found = belief(rows, parameters)
    ends = accuracy_interval(found.mean, np.sqrt(np.diag(found.covariance)), LEVEL)
    values = [
        PredictedAccuracy(float(value), float(low), float(high))
        for value, low, high in zip(from_angle(found.mean), *ends, strict=True)
    ]
    return [own if all(name in row.scores for name in PROBES) else None for row, own in zip(rows, values, strict=True)]
