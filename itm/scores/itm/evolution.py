"""The evolution step of DVA: embeddings move as gradient descent on a linear mapping layer g would move them, without g.

Let E = Theta W_g, with an inner loss whose residual is r(E). One gradient step of size eta on W_g turns E into E - eta C r(E).
The kernel C is Theta Theta^T / B, or (Theta Theta^T + 1 1^T) / B if g has a bias, which is a column of ones in Theta.
C is B x B and never built. All tensors have a leading axis of independent problems: Theta, E, E_hat are [L, B, K].

    inner loss        r(E)
    mse               E - E_hat
    cross_entropy     softmax(E) - E_hat
    mae               sign(E - E_hat)

For mse all n steps have a closed form. With G = Theta^T Theta and T = I - eta G / B,

    E^(n) = E_hat + (I - eta C)^n (E^(0) - E_hat)
          = E^(0) - Theta M Theta^T (E^(0) - E_hat),        M = eta / B (I + T + ... + T^(n-1)).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch

from itm.scores.itm.options import InnerLoss, ItmOptions

Tensor = torch.Tensor
Block = tuple[Tensor, Tensor, Tensor]


def unit_rows(raw: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows scaled to length 1 and their lengths before; a zero row stays zero."""
    norm = torch.linalg.vector_norm(raw, dim=-1, keepdim=True).clamp_min_(1e-12)
    return raw / norm, norm


def unit_rows_backward(unit: Tensor, norm: Tensor, gradient: Tensor) -> Tensor:
    """Return the gradient by the raw rows from that by the unit rows: the part along a row does not change its direction."""
    along = (unit * gradient).sum(dim=-1, keepdim=True)
    return torch.addcmul(gradient, unit, along, value=-1).div_(norm)


@dataclass(frozen=True)
class Evolution:
    """How far, and by which inner loss, embeddings move towards their centres."""

    eta: float = 0.5
    recursions: int = 1
    loss: InnerLoss = "mse"
    bias: bool = False

    @classmethod
    def of(cls, options: ItmOptions) -> "Evolution":
        return cls(options.eta, options.recursions, options.inner_loss, options.mapping_bias)

    @property
    def steps(self) -> int:
        """Return the number of steps that are not the identity."""
        return self.recursions if self.eta else 0

    def forward(self, theta: Tensor, centres: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return E^(n) from the start E^(0) = Theta, and what `backward` needs of the steps."""
        if not self.steps:
            return theta, []
        rows = self.with_ones(theta)
        if self.loss == "mse":
            series = [self._series(rows.transpose(-1, -2) @ rows, theta.shape[-2])] if self.steps > 1 else []
            pull = torch.bmm(rows.transpose(-1, -2), theta - centres)
            return torch.baddbmm(theta, rows, _times(series, pull), alpha=-self.eta / theta.shape[-2]), series
        embeddings, kept = theta, []
        for _ in range(self.steps):
            if self.loss == "cross_entropy":
                kept.append(embeddings.softmax(dim=-1))
            pull = rows.transpose(-1, -2) @ self._residual(embeddings, centres)
            embeddings = torch.baddbmm(embeddings, rows, pull, alpha=-self.eta / rows.shape[-2])
        return embeddings, kept

    def backward(self, theta: Tensor, gradient: Tensor, kept: list[Tensor]) -> Tensor:
        """Return dL/dE^(0) from dL/dE^(n) with a constant kernel.

        A step is E - eta C r(E); its transpose is D - eta J^T C D with J = dr/dE. J is the identity for mse, 0 for mae, and
        diag(p) - p p^T in each row, p = softmax(E), for cross-entropy. C, J and M are symmetric.
        """
        if not self.steps or self.loss == "mae":
            return gradient
        rows = self.with_ones(theta)
        if self.loss == "mse":
            pull = _times(kept, torch.bmm(rows.transpose(-1, -2), gradient))
            return torch.baddbmm(gradient, rows, pull, alpha=-self.eta / theta.shape[-2])
        for p in reversed(kept):
            moved = rows @ (rows.transpose(-1, -2) @ gradient)
            moved = p * (moved - (p * moved).sum(dim=-1, keepdim=True))
            gradient = gradient - self.eta / theta.shape[-2] * moved
        return gradient

    def layer(self, blocks: Callable[[], Iterable[Block]], rows: int | Tensor, identity: Tensor) -> Tensor:
        """Return the layer g [L, K, K] that the steps, started at the identity, reach on these rows; a bias is row K + 1.

        Applied to other rows (with a column of ones if there is a bias), it moves them without using their labels.

        `blocks` returns all rows in blocks: Theta, centres, and 1 for rows that count and 0 for others [L, B, 1]. It is called
        once for mse, and once per step for the other losses. `rows` is the number of rows that count, or [L, 1, 1] of them.
        """
        layer, many = identity, self.steps > 1
        if self.loss == "mse" and self.steps:
            pull, kernel = torch.zeros_like(layer), torch.zeros_like(layer @ layer.transpose(-1, -2))
            for theta, centres, mask in blocks():
                block = self.with_ones(theta) * mask
                pull.baddbmm_(block.transpose(-1, -2), theta - centres)
                if many:
                    kernel.baddbmm_(block.transpose(-1, -2), block)
            return layer - self.eta / rows * _times([self._series(kernel, rows)] if many else [], pull)
        for _ in range(self.steps):
            pull = torch.zeros_like(layer)
            for theta, centres, mask in blocks():
                block = self.with_ones(theta) * mask
                pull.baddbmm_(block.transpose(-1, -2), self._residual(block @ layer, centres))
            layer = layer - self.eta / rows * pull
        return layer

    def with_ones(self, theta: Tensor) -> Tensor:
        """Return Theta, with a column of ones if g has a bias."""
        return torch.cat([theta, torch.ones_like(theta[..., :1])], dim=-1) if self.bias else theta

    def identity(self, theta: Tensor) -> Tensor:
        """Return the layer that moves nothing."""
        width = theta.shape[-1]
        return torch.eye(width + self.bias, width, dtype=theta.dtype, device=theta.device).expand(len(theta), -1, -1)

    def _residual(self, embeddings: Tensor, centres: Tensor) -> Tensor:
        if self.loss == "mse":
            return embeddings - centres
        if self.loss == "cross_entropy":
            return embeddings.softmax(dim=-1) - centres
        return (embeddings - centres).sign()

    def _series(self, kernel: Tensor, rows: int | Tensor) -> Tensor:
        """Return I + T + ... + T^(n-1), T = I - eta G / rows, by doubling: S_2k = S_k + T^k S_k and S_k+1 = I + T S_k."""
        one = torch.eye(kernel.shape[-1], dtype=kernel.dtype, device=kernel.device).expand_as(kernel)
        once = one - self.eta / rows * kernel
        total, power = one, once
        for digit in f"{self.steps:b}"[1:]:
            total, power = torch.baddbmm(total, power, total), power @ power
            if digit == "1":
                total, power = torch.baddbmm(one, once, total), power @ once
        return total


def _times(series: list[Tensor], pull: Tensor) -> Tensor:
    return series[0] @ pull if series else pull
