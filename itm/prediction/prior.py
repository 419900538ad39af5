"""What is known of final accuracies before any fine-tuning: from scores, facts, and a model's record on other data sets."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from itm.prediction.parameters import PriorParameters
from itm.prediction.scale import to_angle

Array = np.ndarray

PROBES = ("linear_probe",)  # scores that are cross-validated accuracies; they enter as angles
FACTS = ("parameters", "batch_norm")  # a count, which enters as its logarithm, and 1 or 0
FEATURES = PROBES + FACTS
FURTHEST = 2.5  # standard deviations; beyond what was measured, a linear relation need not hold


@dataclass(frozen=True)
class Known:
    """What is known of a model on a data set. `features` has those of `FEATURES` that are known, in their own units."""

    model: str
    weights: str | None
    features: Mapping[str, float]


@dataclass(frozen=True)
class Belief:
    """What to expect of the angles of final accuracies of `models`: their mean [m] and covariance [m, m]."""

    models: tuple[str, ...]
    mean: Array
    covariance: Array


def feature_values(known: Sequence[Known], names: Sequence[str] = FEATURES) -> Array:
    """Return the features [m, f] on the scale of the model. What is unknown, or not finite, is NaN."""
    table = np.full((len(known), len(names)), math.nan)
    for row, own in enumerate(known):
        for column, name in enumerate(names):
            if (value := own.features.get(name)) is not None and math.isfinite(value):
                table[row, column] = float(to_angle(value)) if name in PROBES else _fact(name, value)
    return table


def _fact(name: str, value: float) -> float:
    return math.log10(max(value, 1.0)) if name == "parameters" else value


def standardised(table: Array, centres: Sequence[float] | Array, scales: Sequence[float] | Array) -> Array:
    """Return features [m, f] in standard deviations from their centre. One that is unknown is at the centre."""
    values = (table - np.asarray(centres)) / np.asarray(scales)
    return np.asarray(np.clip(np.nan_to_num(values, nan=0.0), -FURTHEST, FURTHEST))


def model_records(weights: Sequence[str | None], parameters: PriorParameters) -> tuple[Array, Array]:
    """Return the mean [m] and the variance [m] of what models have in common on all data sets; the usual ones if unknown."""
    records = [parameters.records.get(name or "", (0.0, parameters.model_variance)) for name in weights]
    means, variances = np.array(records, dtype=np.float64).reshape(-1, 2).T
    return means, variances


def expect(known: Sequence[Known], parameters: PriorParameters) -> Belief:
    """Return what to expect of models on a data set before any fine-tuning."""
    values = standardised(feature_values(known, parameters.features), parameters.centres, parameters.scales)
    effects, variances = model_records([own.weights for own in known], parameters)
    mean = parameters.intercept + values @ np.asarray(parameters.slopes, dtype=np.float64) + effects
    covariance = np.full((len(known), len(known)), parameters.set_variance) + np.diag(variances + parameters.rest_variance)
    return Belief(tuple(own.model for own in known), mean, covariance)
