"""What a user's own fine-tuning says of models: their records, updated by results on other data sets."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from itm.prediction.parameters import PriorParameters
from itm.prediction.prior import Known, feature_values, model_records, standardised
from itm.prediction.scale import sampling_variance, to_angle


@dataclass(frozen=True)
class PastResult:
    """The accuracy of a model after fine-tuning on another data set, whose hash is `data`, on so many test images."""

    data: str
    known: Known
    accuracy: float
    images: int


def with_history(parameters: PriorParameters, past: Sequence[PastResult]) -> PriorParameters:
    """Return the prior with the records of models given further results.

    The angle of a result is y = f + a + b + e: f is what the features say, a what the model has in common on all data sets,
    with the mean m and the variance v of its record; b what the data set has in common, and e the rest with sampling. All are
    Gaussian, so with residuals r = y - f, models M (one row per result, one column per model) and K = M v M' + S + E:

        m' = m + v M' K^-1 (r - M m),   v' = v - v M' K^-1 M v   (of which the diagonal is kept).
    """
    weighed = [own for own in past if own.known.weights]
    if not weighed:
        return parameters
    known = [own.known for own in weighed]
    names = sorted({str(own.weights) for own in known})
    of_model = np.array([own.weights for own in known])[:, None] == np.array(names)[None, :]
    of_set = np.array([own.data for own in weighed])
    accuracies, images = np.array([own.accuracy for own in weighed]), np.array([own.images for own in weighed])
    values = standardised(feature_values(known, parameters.features), parameters.centres, parameters.scales)
    expected = parameters.intercept + values @ np.asarray(parameters.slopes)
    mean, variance = model_records(names, parameters)
    with_results = variance[:, None] * of_model.T  # [models, results]
    total = of_model @ with_results + parameters.set_variance * (of_set[:, None] == of_set[None, :])
    total = total + np.diag(parameters.rest_variance + sampling_variance(images))
    gain = np.linalg.solve(total, with_results.T).T
    updated = mean + gain @ (to_angle(accuracies) - expected - of_model @ mean)
    left = variance - np.sum(gain * with_results, axis=1)
    found = {name: (float(a), float(b)) for name, a, b in zip(names, updated, left, strict=True)}
    return parameters.model_copy(update={"records": {**parameters.records, **found}})
