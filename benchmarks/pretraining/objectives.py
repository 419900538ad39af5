"""Pre-training objectives: an objective owns its backbone and computes the loss of a batch of pictures."""

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F

from benchmarks.pretraining.pictures import views


class Objective(ABC, torch.nn.Module):
    """A backbone with the layers that are only needed for pre-training."""

    colour = 0.0
    smallest_crop = 0.35

    def __init__(self, backbone: torch.nn.Module, size: int) -> None:
        super().__init__()
        self.backbone, self.size = backbone, size

    def view(self, pixels: torch.Tensor) -> torch.Tensor:
        return views(pixels, self.size, self.smallest_crop, self.colour)

    @abstractmethod
    def loss(self, pixels: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of uint8 pictures [b, 3, side, side] with classes [b]."""

    def after_step(self, progress: float) -> None:
        """Hook after each step of the optimiser. `progress` goes from 0 to 1."""


class Supervised(Objective):
    """Classification with label smoothing."""

    colour = 0.2

    def loss(self, pixels: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the cross-entropy of one view per picture."""
        return F.cross_entropy(self.backbone(self.view(pixels)), labels, label_smoothing=0.05)


def mlp(width: int, hidden: int, out: int) -> torch.nn.Sequential:
    """Return a projection head: two linear layers with batch norm and ReLU between them."""
    return torch.nn.Sequential(
        torch.nn.Linear(width, hidden, bias=False),
        torch.nn.BatchNorm1d(hidden),
        torch.nn.ReLU(inplace=True),
        torch.nn.Linear(hidden, out),
    )


def embed(backbone: torch.nn.Module, seen: torch.Tensor) -> torch.Tensor:
    """Return the embeddings [b, d] that a ranking uses."""
    features: torch.Tensor = backbone.forward_head(backbone.forward_features(seen), pre_logits=True)  # type: ignore[operator]
    return features
