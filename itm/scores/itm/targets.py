"""What ITM is trained on for each kind of task: the targets, the loss of its head, and its predictions.

The paper has classes: a head with cross-entropy, and one centre per class. The other two are our extension. Labels have a head
with binary cross-entropy, and standardised numbers one with half the squared error. The centre of a row is then the direction
of its own targets with a one beside them, (t, 1) / |(t, 1)|: multi-hot labels, or standardised numbers. The one keeps a centre
for rows without a label and a direction for a single number, since all embeddings have length 1.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch

from itm.scores.base import CLASSES
from itm.scores.itm.centres import Centres
from itm.scores.sample import Sample

Tensor = torch.Tensor


class Targets(ABC):
    """The targets of a kind of task. `own_centres` says whether each row has a centre of its own."""

    own_centres = True

    @abstractmethod
    def encode(self, sample: Sample) -> np.ndarray:
        """Return what is trained on: class numbers [n], or float32 [n, t]."""

    def outputs(self, sample: Sample) -> int:
        """Return the number of outputs of the head."""
        return sample.targets.reshape(len(sample.targets), -1).shape[1]

    @abstractmethod
    def differentiate(self, output: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradient [L, B, C] of the mean loss by the outputs, and a number per row [L, B], nan after divergence."""

    @abstractmethod
    def predict(self, output: Tensor) -> Tensor:
        """Return predictions for the outputs [m, C] of a head."""

    def decode(self, predicted: np.ndarray, sample: Sample) -> np.ndarray:  # noqa: ARG002
        """Return predictions that are comparable with the targets of the sample."""
        return predicted


class Classes(Targets):
    own_centres = False

    def encode(self, sample: Sample) -> np.ndarray:
        return sample.labels

    def outputs(self, sample: Sample) -> int:
        return sample.classes

    def differentiate(self, output: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradient of cross-entropy, (p - one_hot) / B, and the probability of each row's class."""
        gradient, chosen = output.softmax(dim=2), targets[..., None]
        probability = gradient.gather(2, chosen)[..., 0]
        gradient.scatter_add_(2, chosen, gradient.new_full(chosen.shape, -1.0)).div_(targets.shape[1])
        return gradient, probability

    def predict(self, output: Tensor) -> Tensor:
        return output.argmax(dim=1)


class Labels(Targets):
    def encode(self, sample: Sample) -> np.ndarray:
        return np.asarray(sample.targets, dtype=np.float32)

    def differentiate(self, output: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradient of binary cross-entropy, (p - t) / B T."""
        return _mean_error(output.sigmoid(), targets)

    def predict(self, output: Tensor) -> Tensor:
        return output.sigmoid()


class Numbers(Targets):
    def encode(self, sample: Sample) -> np.ndarray:
        mean, spread = _moments(sample)
        standardised = (sample.targets - mean) / spread
        return np.asarray(standardised.reshape(len(standardised), -1), dtype=np.float32)

    def differentiate(self, output: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradient of half the squared error, (y - t) / B T."""
        return _mean_error(output, targets)

    def predict(self, output: Tensor) -> Tensor:
        return output

    def decode(self, predicted: np.ndarray, sample: Sample) -> np.ndarray:
        mean, spread = _moments(sample)
        return np.asarray(predicted.reshape(len(predicted), *sample.targets.shape[1:]) * spread + mean)


TARGETS: dict[str, Targets] = {**dict.fromkeys(CLASSES, Classes()), "multilabel": Labels(), "regression": Numbers()}


@dataclass(frozen=True)
class OwnCentres(Centres):
    """Centres [L, B, T + 1] of rows with targets [L, B, T]; the table is not used."""

    def lanes(self, own: slice) -> Centres:  # noqa: ARG002
        return self

    def _of(self, labels: Tensor) -> Tensor:
        beside = torch.cat([labels, torch.ones_like(labels[..., :1])], dim=-1)
        unit: Tensor = beside / torch.linalg.vector_norm(beside, dim=-1, keepdim=True)
        return unit


def _mean_error(predicted: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    error = (predicted - targets) / (targets.shape[1] * targets.shape[2])
    return error, error.sum(dim=2)


def _moments(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each number over all rows."""
    return sample.targets.mean(axis=0), sample.targets.std(axis=0)
