"""Pseudo-cluster centres: the points of the evolved space that the classes are pulled towards, one per class.

    one_hot           the corners of the simplex, in as many dimensions as there are classes
    random            vectors of random direction and length 1
    principal_axes    the principal axes of the first embeddings E^(0) of the training rows, in descending order of variance

With an offset, a centre v becomes mean + std * v, dimension by dimension, of the embeddings E^(0) it is used with.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

Tensor = torch.Tensor


@dataclass(frozen=True)
class Centres:
    """Centres as a table [L, C, K] with one part per lane, or [1, C, K] for all lanes."""

    table: Tensor
    offset: bool = False

    def of(self, labels: Tensor, start: Tensor) -> Tensor:
        """Return the centres [L, B, K] of rows with class numbers `labels` [L, B] and embeddings `start` = E^(0)."""
        if not self.offset:
            return self._of(labels)
        return self.placed(labels, start.mean(dim=1, keepdim=True), start.std(dim=1, keepdim=True, correction=0))

    def placed(self, labels: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        """Return the centres of rows whose embeddings have this mean and std [L, 1, K]; both count only with an offset."""
        return torch.addcmul(mean, self._of(labels), std) if self.offset else self._of(labels)

    def lanes(self, own: slice) -> "Centres":
        return self if len(self.table) == 1 else Centres(self.table[own], self.offset)

    def _of(self, labels: Tensor) -> Tensor:
        lanes, classes, width = self.table.shape
        rows = labels if lanes == 1 else labels + classes * torch.arange(lanes, device=labels.device)[:, None]
        return self.table.reshape(-1, width).index_select(0, rows.reshape(-1)).view(*labels.shape, width)


def one_hot(classes: int) -> Tensor:
    """Return the corners of the simplex [1, C, C]."""
    return torch.eye(classes)[None]


def random(classes: int, width: int, generators: Sequence[torch.Generator]) -> Tensor:
    """Return vectors of random direction [L, C, K], those of each lane from its own generator."""
    drawn = torch.stack([torch.randn(classes, width, generator=generator) for generator in generators])
    unit: Tensor = drawn / drawn.norm(dim=2, keepdim=True)
    return unit


def principal_axes(embeddings: Iterable[Tensor], classes: int) -> Tensor:
    """Return the first `classes` principal axes [1, C, K] of embeddings that come in blocks [1, B, K].

    The sign of an axis is arbitrary; its largest component is made positive.
    """
    count, total, products = 0, torch.zeros(()), torch.zeros(())
    for block in embeddings:
        rows = block[0].double().cpu()
        count, total, products = count + len(rows), total + rows.sum(dim=0), products + rows.T @ rows
    mean = total / count
    axes = torch.linalg.eigh(products / count - torch.outer(mean, mean))[1].flip(1)[:, :classes].T
    largest = axes.gather(1, axes.abs().argmax(dim=1, keepdim=True))
    signed: Tensor = (axes * largest.sign()).float()[None]
    return signed
