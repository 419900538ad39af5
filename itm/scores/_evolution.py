"""The step of DVA: embeddings move as gradient descent on a linear mapping layer g would move them, without that layer.

For E = Theta W_g and an inner loss with residual r(E), one gradient step of size eta on W_g changes E into E - eta C r(E). The
kernel C is Theta Theta^T / B, or (Theta Theta^T + 1 1^T) / B where g has a bias. C is B x B and never built: its product with r
costs two products with Theta. All tensors carry a leading axis of independent problems: Theta, E, E_hat are [L, B, C].

    inner loss        r(E)                  what is known beyond the step
    mse               E - E_hat             E^(n) = E_hat + (I - eta C)^n (E^(0) - E_hat)
    cross_entropy     softmax(E) - E_hat
    mae               sign(E - E_hat)
"""

from dataclasses import dataclass
from typing import Literal

import torch

Tensor = torch.Tensor
InnerLoss = Literal["mse", "cross_entropy", "mae"]


def unit_rows(raw: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows of length 1 and the lengths they had; an all-zero row stays zero."""
    norm = raw.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    return raw / norm, norm


def unit_rows_backward(unit: Tensor, norm: Tensor, gradient: Tensor) -> Tensor:
    """Return the gradient with respect to the raw rows: the part along a row cannot change its direction."""
    return (gradient - unit * (unit * gradient).sum(dim=-1, keepdim=True)) / norm


@dataclass(frozen=True)
class Evolution:
    """How far and by which inner loss embeddings move towards their centres."""

    eta: float = 0.5
    recursions: int = 1
    loss: InnerLoss = "mse"
    bias: bool = False

    def forward(self, theta: Tensor, centres: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return E^(n), the start being Theta itself, and what `backward` needs of the steps on the way."""
        embeddings, kept = theta, []
        for _ in range(self.recursions if self.eta else 0):
            if self.loss == "cross_entropy":
                kept.append(embeddings.softmax(dim=-1))
            embeddings = embeddings - self.eta * self._kernel(theta, self._residual(embeddings, centres))
        return embeddings, kept

    def backward(self, theta: Tensor, gradient: Tensor, kept: list[Tensor]) -> Tensor:
        """Return dL/dE^(0) from dL/dE^(n), the kernel held constant.

        A step is E - eta C r(E), so its transpose is D - eta J^T C D with J = dr/dE: the identity for mse, 0 for mae, and
        diag(p) - p p^T row by row, p = softmax(E), for cross-entropy. All of C, J are symmetric.
        """
        if self.loss == "mae":
            return gradient
        for step in reversed(range(self.recursions if self.eta else 0)):
            moved = self._kernel(theta, gradient)
            if self.loss == "cross_entropy":
                p = kept[step]
                moved = p * (moved - (p * moved).sum(dim=-1, keepdim=True))
            gradient = gradient - self.eta * moved
        return gradient

    def mapping(self, theta: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
        """Return the layer g, weight [L, C, C] and bias [L, 1, C], that as many steps from the identity reach on these rows.

        Applied to other rows it moves them without a look at their labels. For mse without bias a step needs no more than
        S = Theta^T Theta / N and Q = Theta^T E_hat / N: W <- W - eta (S W - Q); the others pass over the rows again.
        """
        count, classes = theta.shape[-2:]
        transposed = theta.transpose(-1, -2)
        inner, target = transposed @ theta / count, transposed @ centres / count
        weight = torch.eye(classes, dtype=theta.dtype, device=theta.device).expand_as(inner).clone()
        bias = torch.zeros_like(target[..., :1, :])
        for _ in range(self.recursions if self.eta else 0):
            if self.loss == "mse" and not self.bias:
                weight = weight - self.eta * (inner @ weight - target)
                continue
            residual = self._residual(theta @ weight + bias, centres)
            weight = weight - self.eta / count * (transposed @ residual)
            if self.bias:
                bias = bias - self.eta * residual.mean(dim=-2, keepdim=True)
        return weight, bias

    def _residual(self, embeddings: Tensor, centres: Tensor) -> Tensor:
        if self.loss == "mse":
            return embeddings - centres
        if self.loss == "cross_entropy":
            return embeddings.softmax(dim=-1) - centres
        return (embeddings - centres).sign()

    def _kernel(self, theta: Tensor, values: Tensor) -> Tensor:
        """Return C V."""
        product = theta @ (theta.transpose(-1, -2) @ values)
        if self.bias:
            product = product + values.sum(dim=-2, keepdim=True)
        return product / theta.shape[-2]
