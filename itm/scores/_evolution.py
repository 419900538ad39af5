"""The step of DVA: embeddings move as gradient descent on a linear mapping layer would move them, without that layer.

One gradient step of size eta on W_g for 1 / (2B) |Theta W_g - E_hat|^2 changes E = Theta W_g into
(I - eta C) E + eta C E_hat with C = Theta Theta^T / B. C is B x B and never built: its product with R costs two products with
Theta. All tensors carry a leading axis of independent problems: Theta, E, E_hat are [L, B, C].
"""

import torch

Tensor = torch.Tensor


def unit_rows(raw: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows of length 1 and the lengths they had; an all-zero row stays zero."""
    norm = raw.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    return raw / norm, norm


def unit_rows_backward(unit: Tensor, norm: Tensor, gradient: Tensor) -> Tensor:
    """Return the gradient with respect to the raw rows: the part along a row cannot change its direction."""
    return (gradient - unit * (unit * gradient).sum(dim=-1, keepdim=True)) / norm


def evolve(theta: Tensor, centres: Tensor, eta: float, recursions: int) -> Tensor:
    """Return E^(n) = E_hat + (I - eta C)^n (Theta - E_hat), the start being Theta itself."""
    return centres + _contract(theta, theta - centres, eta, recursions)


def evolve_backward(theta: Tensor, gradient: Tensor, eta: float, recursions: int) -> Tensor:
    """Return dL/dTheta from dL/dE^(n), the kernel held constant: (I - eta C)^n is symmetric, so it is applied again."""
    return _contract(theta, gradient, eta, recursions)


def mapping(theta: Tensor, centres: Tensor, eta: float, recursions: int) -> Tensor:
    """Return the mapping layer W_g [L, C, C] that `recursions` gradient steps from the identity reach on these rows.

    With S = Theta^T Theta / N and Q = Theta^T E_hat / N a step is W <- W - eta (S W - Q). Applied to other rows it moves them
    without a look at their labels.
    """
    count = theta.shape[-2]
    transposed = theta.transpose(-1, -2)
    inner, target = transposed @ theta / count, transposed @ centres / count
    weight = torch.eye(theta.shape[-1], dtype=theta.dtype, device=theta.device).expand_as(inner).clone()
    for _ in range(recursions):
        weight -= eta * (inner @ weight - target)
    return weight


def _contract(theta: Tensor, residual: Tensor, eta: float, recursions: int) -> Tensor:
    """Return (I - eta C)^n R with C = Theta Theta^T / B."""
    if eta == 0:
        return residual
    for _ in range(recursions):
        residual = residual - (eta / theta.shape[-2]) * (theta @ (theta.transpose(-1, -2) @ residual))
    return residual
