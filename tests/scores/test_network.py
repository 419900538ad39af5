"""The gradients of the network, written out by hand, against those of autograd in float64."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F

from itm.scores.itm import centres as _centres
from itm.scores.itm.centres import Centres
from itm.scores.itm.evolution import Evolution, InnerLoss
from itm.scores.itm.network import Network
from itm.scores.itm.targets import TARGETS, OwnCentres

LANES, ROWS, WIDTH, CLASSES = 3, 40, 7, 5
Tensor = torch.Tensor


def drawn(*shape: int, seed: int = 0) -> Tensor:
    """Return normal numbers in float64."""
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def parameters(hidden: int, width: int) -> list[Tensor]:
    """Return weights and biases of every lane, those of the hidden blocks first."""
    sizes = [*[(WIDTH, WIDTH)] * hidden, (width, WIDTH), (CLASSES, width)]
    shapes = [shape for out, fan_in in sizes for shape in ((LANES, out, fan_in), (LANES, 1, out))]
    return [drawn(*shape, seed=number) for number, shape in enumerate(shapes)]


def centres_of(kind: str, offset: bool) -> Centres:
    """Return centres shared by all lanes, or some in more dimensions than there are classes, other ones in each lane."""
    if kind == "one_hot":
        return Centres(_centres.one_hot(CLASSES).double(), offset)
    return Centres(drawn(LANES, CLASSES, CLASSES + 3, seed=90), offset)


def plain(weights: list[Tensor], x: Tensor, labels: Tensor, table: Tensor, offset: bool, evolution: Evolution) -> Tensor:
    """Return the loss of one lane, the kernel being the B x B matrix, and it and the centres constants to autograd."""
    *blocks, mapping, shift, head, last = weights
    for weight, bias in zip(blocks[::2], blocks[1::2], strict=True):
        x = torch.relu(x @ weight.T + bias)
    theta = F.normalize(x @ mapping.T + shift, dim=1)
    centres = table[labels]
    if offset:
        start = theta.detach()
        centres = start.mean(dim=0) + start.std(dim=0, correction=0) * centres
    kernel = (theta @ theta.T + float(evolution.bias)).detach() / len(theta)
    evolved = theta
    for _ in range(evolution.recursions):
        residual = {
            "mse": evolved - centres,
            "mae": (evolved - centres).sign(),
            "cross_entropy": evolved.softmax(dim=1) - centres,
        }[evolution.loss]
        evolved = evolved - evolution.eta * kernel @ residual
    return F.cross_entropy(evolved @ head.T + last, labels)


@pytest.mark.parametrize("hidden", [0, 1, 2])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("loss", "kind", "offset"),
    [
        ("mse", "one_hot", False),
        ("mse", "one_hot", True),
        ("mse", "one a lane", False),
        ("mse", "one a lane", True),
        ("mae", "one_hot", False),
        ("mae", "one_hot", True),
        ("mae", "one a lane", True),
        ("cross_entropy", "one_hot", False),
    ],
)
def test_gradients_are_those_of_autograd(hidden: int, bias: bool, loss: InnerLoss, kind: str, offset: bool) -> None:
    centres, evolution = centres_of(kind, offset), Evolution(0.7, 3, loss, bias)
    own = parameters(hidden, centres.table.shape[2])
    x, labels = drawn(LANES, ROWS, WIDTH, seed=91), torch.arange(LANES * ROWS).view(LANES, ROWS) ** 2 % CLASSES
    gradient = [torch.full_like(parameter, torch.nan) for parameter in own]
    losses = -Network(own, gradient, evolution).differentiate(x, labels, centres).log().mean(dim=1)
    for lane in range(LANES):
        weights = [p[lane].squeeze(0).clone().requires_grad_() for p in own]
        table = centres.table[lane % len(centres.table)]
        expected = plain(weights, x[lane], labels[lane], table, offset, evolution)
        assert losses[lane].item() == pytest.approx(expected.item(), abs=1e-12)
        for found, other in zip(gradient, torch.autograd.grad(expected, weights), strict=True):
            assert other.abs().max() > 1e-6
            torch.testing.assert_close(found[lane].view_as(other), other, atol=1e-12, rtol=0)


def test_a_lane_is_a_view_of_the_whole() -> None:
    own, centres = parameters(1, CLASSES), centres_of("one_hot", False)
    x, labels = drawn(LANES, ROWS, WIDTH, seed=91), torch.arange(LANES * ROWS).view(LANES, ROWS) % CLASSES
    gradient = [torch.zeros_like(parameter) for parameter in own]
    network = Network(own, gradient, Evolution())
    together = network.differentiate(x, labels, centres)
    kept = [one.clone() for one in gradient]
    for one in gradient:
        one.zero_()
    alone = network.lanes(slice(1, 2)).differentiate(x[1:2], labels[1:2], centres.lanes(slice(1, 2)))
    torch.testing.assert_close(alone[0], together[1], atol=1e-14, rtol=0)
    for found, before in zip(gradient, kept, strict=True):
        assert not found[0].any()
        assert not found[2].any()
        torch.testing.assert_close(found[1], before[1], atol=1e-14, rtol=0)


@pytest.mark.parametrize(("kind", "loss"), [("multilabel", F.binary_cross_entropy_with_logits), ("regression", F.mse_loss)])
def test_gradients_for_labels_and_numbers_are_those_of_autograd(kind: str, loss: Callable[..., Tensor]) -> None:
    own, centres, evolution = parameters(1, CLASSES + 1), OwnCentres(torch.empty(0)), Evolution(0.7, 3)
    x, values = drawn(LANES, ROWS, WIDTH, seed=91), drawn(LANES, ROWS, CLASSES, seed=92)
    targets = (values > 0.3).double() if kind == "multilabel" else values
    gradient = [torch.full_like(parameter, torch.nan) for parameter in own]
    Network(own, gradient, evolution, TARGETS[kind]).differentiate(x, targets, centres)
    for lane in range(LANES):
        weights = [p[lane].squeeze(0).clone().requires_grad_() for p in own]
        block, bias, mapping, shift, head, last = weights
        theta = F.normalize(torch.relu(x[lane] @ block.T + bias) @ mapping.T + shift, dim=1)
        beside = F.normalize(torch.cat([targets[lane], torch.ones(ROWS, 1)], dim=1), dim=1)
        evolved, kernel = theta, (theta @ theta.T).detach() / ROWS
        for _ in range(3):
            evolved = evolved - 0.7 * kernel @ (evolved - beside)
        expected = loss(evolved @ head.T + last, targets[lane]) / (1 if kind == "multilabel" else 2)
        for found, other in zip(gradient, torch.autograd.grad(expected, weights), strict=True):
            assert other.abs().max() > 1e-6
            torch.testing.assert_close(found[lane].view_as(other), other, atol=1e-12, rtol=0)
