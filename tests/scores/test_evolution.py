"""Identities of the evolution step, in float64."""

from itertools import pairwise

import pytest
import torch

from itm.scores._evolution import evolve, evolve_backward, mapping, unit_rows, unit_rows_backward

ETA = 0.7


def problem(rows: int = 40, classes: int = 6, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return unit rows Theta [2, B, C] and one-hot centres of random classes."""
    generator = torch.Generator().manual_seed(seed)
    theta = unit_rows(torch.randn(2, rows, classes, generator=generator, dtype=torch.float64))[0]
    centres = torch.eye(classes, dtype=torch.float64)[torch.randint(classes, (2, rows), generator=generator)]
    return theta, centres


@pytest.mark.parametrize("recursions", [1, 3, 20])
def test_is_gradient_descent_on_the_mapping_layer(recursions: int) -> None:
    """Theta W, with W moved by real gradient descent from the identity, equals the evolved embeddings to 1e-12."""
    theta, centres = problem()
    weight = torch.eye(theta.shape[2], dtype=torch.float64).repeat(2, 1, 1).requires_grad_()
    for _ in range(recursions):
        loss = ((theta @ weight - centres) ** 2).sum() / (2 * theta.shape[1])
        (gradient,) = torch.autograd.grad(loss, weight)
        weight = (weight - ETA * gradient).detach().requires_grad_()
    assert torch.allclose(theta @ weight, evolve(theta, centres, ETA, recursions), atol=1e-12, rtol=0)
    assert torch.allclose(mapping(theta, centres, ETA, recursions), weight, atol=1e-12, rtol=0)


@pytest.mark.parametrize("recursions", [1, 4])
def test_equals_the_closed_form(recursions: int) -> None:
    """E_hat + (I - eta C)^n (E - E_hat), with the B x B kernel built for once, gives the same."""
    theta, centres = problem()
    kernel = theta @ theta.transpose(1, 2) / theta.shape[1]
    power = torch.matrix_power(torch.eye(theta.shape[1], dtype=torch.float64) - ETA * kernel, recursions)
    expected = centres + power @ (theta - centres)
    assert torch.allclose(evolve(theta, centres, ETA, recursions), expected, atol=1e-13, rtol=0)


def test_never_moves_away_from_the_centres() -> None:
    """Unit rows give a kernel with trace 1 and eigenvalues in [0, 1], so the residual never grows."""
    theta, centres = problem()
    kernel = theta @ theta.transpose(1, 2) / theta.shape[1]
    values = torch.linalg.eigvalsh(kernel)
    assert torch.allclose(values.sum(dim=1), torch.ones(2, dtype=torch.float64))
    assert values.min() > -1e-12
    assert values.max() <= 1
    lengths = [(evolve(theta, centres, 1.0, n) - centres).norm() for n in range(5)]
    assert all(later <= earlier for earlier, later in pairwise(lengths))


def test_ends_at_the_projection_onto_theta() -> None:
    """Many steps replace the part of E within the span of Theta by that of the centres."""
    theta, centres = problem(rows=12, classes=3)
    span = theta @ torch.linalg.pinv(theta)
    expected = span @ centres + theta - span @ theta
    assert torch.allclose(evolve(theta, centres, 1.0, 5000), expected, atol=1e-9)


def test_eta_zero_moves_nothing() -> None:
    """The control leaves the embeddings where they are, to the last bit."""
    theta, centres = problem()
    assert torch.equal(evolve(theta, centres, 0.0, 5), centres + (theta - centres))
    assert torch.equal(mapping(theta, centres, 0.0, 5), torch.eye(6, dtype=torch.float64).expand(2, 6, 6))


def test_backward_is_that_of_autograd_with_a_constant_kernel() -> None:
    """The analytic gradients through the evolution and the row normalisation equal autograd's to 1e-12."""
    _, centres = problem()
    raw = torch.randn(2, 40, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(5), requires_grad=True)
    theta = raw / raw.norm(dim=2, keepdim=True)
    step = torch.eye(40, dtype=torch.float64) - ETA * (theta @ theta.transpose(1, 2)).detach() / 40
    evolved = centres + torch.matrix_power(step, 3) @ (theta - centres)
    upstream = torch.randn(2, 40, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    (expected,) = torch.autograd.grad(evolved, raw, upstream)
    unit, norm = unit_rows(raw.detach())
    gradient = unit_rows_backward(unit, norm, evolve_backward(unit, upstream, ETA, 3))
    assert torch.allclose(gradient, expected, atol=1e-12, rtol=0)
