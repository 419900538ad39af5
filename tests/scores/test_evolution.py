"""Identities of the evolution step, in float64."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from itm.scores.itm.evolution import Block, Evolution, InnerLoss, unit_rows, unit_rows_backward

LOSSES: tuple[InnerLoss, ...] = ("mse", "cross_entropy", "mae")


def problem(rows: int = 40, classes: int = 6, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return unit rows Theta [2, B, C] and one-hot centres of random classes."""
    generator = torch.Generator().manual_seed(seed)
    theta = unit_rows(torch.randn(2, rows, classes, generator=generator, dtype=torch.float64))[0]
    centres = torch.eye(classes, dtype=torch.float64)[torch.randint(classes, (2, rows), generator=generator)]
    return theta, centres


def step_by_step(
    evolution: Evolution, theta: torch.Tensor, centres: torch.Tensor, start: torch.Tensor | None = None
) -> torch.Tensor:
    """Return E^(n) with the B x B kernel, a step at a time; E^(0) is `start`, or Theta."""
    kernel = (theta @ theta.transpose(1, 2) + float(evolution.bias)) / theta.shape[1]
    embeddings = theta if start is None else start
    for _ in range(evolution.recursions):
        residual = {
            "mse": embeddings - centres,
            "cross_entropy": embeddings.softmax(dim=2) - centres,
            "mae": (embeddings - centres).sign(),
        }[evolution.loss]
        embeddings = embeddings - evolution.eta * kernel @ residual
    return embeddings


def in_blocks(theta: torch.Tensor, centres: torch.Tensor) -> Iterator[Block]:
    """Give rows in blocks of 7, as they come where not all of them are held at once, with three more that do not count."""
    for some, own in zip(theta.split(7, dim=1), centres.split(7, dim=1), strict=True):
        counted = torch.ones_like(some[..., :1])
        more = [torch.cat([block, block[:, :1].expand(-1, 3, -1)], dim=1) for block in (some, own)]
        yield *more, torch.cat([counted, torch.zeros_like(counted[:, :1]).expand(-1, 3, -1)], dim=1)


def inner_loss(name: InnerLoss, embeddings: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """Return the inner loss as torch knows it, a mean over rows and a sum over dimensions."""
    if name == "mse":
        return 0.5 * F.mse_loss(embeddings, centres, reduction="sum") / embeddings.shape[1]
    if name == "mae":
        return F.l1_loss(embeddings, centres, reduction="sum") / embeddings.shape[1]
    return F.cross_entropy(embeddings.transpose(1, 2), centres.argmax(dim=2), reduction="sum") / embeddings.shape[1]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("recursions", [1, 3, 20])
def test_is_gradient_descent_on_the_mapping_layer(loss: InnerLoss, bias: bool, recursions: int) -> None:
    theta, centres = problem()
    weight = torch.eye(theta.shape[2], dtype=torch.float64).repeat(2, 1, 1)
    offset = torch.zeros(2, 1, theta.shape[2], dtype=torch.float64)
    for _ in range(recursions):
        weight, offset = weight.detach().requires_grad_(), offset.detach().requires_grad_()
        moved = inner_loss(loss, theta @ weight + offset, centres)
        by_weight, by_offset = torch.autograd.grad(moved, (weight, offset))
        weight, offset = weight - 0.7 * by_weight, offset - 0.7 * bias * by_offset
    evolution = Evolution(0.7, recursions, loss, bias)
    assert torch.allclose(theta @ weight + offset, evolution.forward(theta, centres)[0], atol=1e-12, rtol=0)
    found = evolution.layer(lambda: in_blocks(theta, centres), theta.shape[1], evolution.identity(theta))
    assert torch.allclose(found, torch.cat([weight, offset], dim=1) if bias else weight, atol=1e-12, rtol=0)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("recursions", [1, 4])
def test_equals_the_closed_form(recursions: int, bias: bool) -> None:
    theta, centres = problem()
    kernel = (theta @ theta.transpose(1, 2) + float(bias)) / theta.shape[1]
    power = torch.matrix_power(torch.eye(theta.shape[1], dtype=torch.float64) - 0.7 * kernel, recursions)
    expected = centres + power @ (theta - centres)
    assert torch.allclose(Evolution(0.7, recursions, bias=bias).forward(theta, centres)[0], expected, atol=1e-13, rtol=0)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("recursions", [1, 2, 3, 7, 100])
def test_many_recursions_are_as_many_single_steps(loss: InnerLoss, bias: bool, recursions: int) -> None:
    theta, centres = problem()
    evolution = Evolution(0.7, recursions, loss, bias)
    found, expected = evolution.forward(theta, centres)[0], step_by_step(evolution, theta, centres)
    assert (found - theta).abs().max() > 0.01
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
    if loss == "mse":  # a step is affine in E, so its transpose is the same movement towards centres at 0
        kept = evolution.forward(theta, centres)[1]
        transposed = step_by_step(evolution, theta, torch.zeros_like(theta), start=centres)
        torch.testing.assert_close(evolution.backward(theta, centres, kept), transposed, atol=1e-12, rtol=0)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("recursions", [1, 5])
def test_the_layer_does_not_depend_on_the_blocks(loss: InnerLoss, bias: bool, recursions: int) -> None:
    theta, centres = problem()
    evolution = Evolution(0.7, recursions, loss, bias)
    identity = evolution.identity(theta)
    whole = evolution.layer(lambda: [(theta, centres, torch.ones_like(theta[..., :1]))], theta.shape[1], identity)
    apart = evolution.layer(lambda: in_blocks(theta, centres), theta.shape[1], identity)
    torch.testing.assert_close(apart, whole, atol=1e-14, rtol=0)
    torch.testing.assert_close(evolution.with_ones(theta) @ apart, evolution.forward(theta, centres)[0], atol=1e-13, rtol=0)


def test_the_bias_is_a_column_of_ones() -> None:
    theta = torch.tensor([[[1.0, 0.0], [-1.0, 0.0]]], dtype=torch.float64)
    centres = torch.tensor([[[0.0, 4.0], [0.0, 2.0]]], dtype=torch.float64)
    assert Evolution(0.5, bias=True).forward(theta, centres)[0].tolist() == [[[0.5, 2.0], [-0.5, 1.0]]]
    assert Evolution(0.5).forward(theta, centres)[0].tolist() == [[[0.5, 0.5], [-0.5, -0.5]]]


def test_never_moves_away_from_the_centres() -> None:
    theta, centres = problem()
    kernel = theta @ theta.transpose(1, 2) / theta.shape[1]
    values = torch.linalg.eigvalsh(kernel)
    assert torch.allclose(values.sum(dim=1), torch.ones(2, dtype=torch.float64))
    assert values.min() > -1e-12
    assert values.max() <= 1
    lengths = [(Evolution(1.0, n).forward(theta, centres)[0] - centres).norm() for n in range(1, 6)]
    assert all(later <= earlier for earlier, later in pairwise(lengths))


def test_ends_at_the_projection_onto_theta() -> None:
    theta, centres = problem(rows=12, classes=3)
    span = theta @ torch.linalg.pinv(theta)
    expected = span @ centres + theta - span @ theta
    assert torch.allclose(Evolution(1.0, 5000).forward(theta, centres)[0], expected, atol=1e-9)


@pytest.mark.parametrize("loss", LOSSES)
def test_eta_zero_moves_nothing(loss: InnerLoss) -> None:
    theta, centres = problem()
    control = Evolution(0.0, 5, loss)
    assert torch.equal(control.forward(theta, centres)[0], theta)
    assert torch.equal(control.backward(theta, centres, []), centres)
    layer = control.layer(lambda: in_blocks(theta, centres), theta.shape[1], control.identity(theta))
    assert torch.equal(layer, torch.eye(6, dtype=torch.float64).expand(2, 6, 6))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("bias", [False, True])
def test_backward_is_that_of_autograd_with_a_constant_kernel(loss: InnerLoss, bias: bool) -> None:
    _, centres = problem()
    raw = torch.randn(2, 40, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(5), requires_grad=True)
    theta = raw / raw.norm(dim=2, keepdim=True)
    kernel = (theta @ theta.transpose(1, 2) + float(bias)).detach() / 40
    evolved = theta
    for _ in range(3):
        residual = {
            "mse": evolved - centres,
            "cross_entropy": evolved.softmax(dim=2) - centres,
            "mae": (evolved - centres).sign(),
        }[loss]
        evolved = evolved - 0.7 * kernel @ residual
    upstream = torch.randn(2, 40, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    (expected,) = torch.autograd.grad(evolved, raw, upstream)
    unit, norm = unit_rows(raw.detach())
    evolution = Evolution(0.7, 3, loss, bias)
    _, kept = evolution.forward(unit, centres)
    gradient = unit_rows_backward(unit, norm, evolution.backward(unit, upstream, kept))
    assert torch.allclose(gradient, expected, atol=1e-12, rtol=0)
