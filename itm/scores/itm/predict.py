"""The predictions of trained lanes for their test rows."""

from collections.abc import Iterator

import torch

from itm.scores.itm.evolution import Block
from itm.scores.itm.training import Training

Tensor = torch.Tensor
REMEMBERED = 2**26  # numbers of the test rows' Theta that are kept (256 MB); with more they are computed a second time


def predictions(training: Training) -> list[Tensor]:
    """Return the predictions, [m] or [m, T], for the test rows of each lane."""
    if training.options.evaluation == "labelled":
        return [_labelled(training, lane) for lane in range(len(training.test))]
    lanes = len(training.test) // training.samples
    return [found for sample in range(training.samples) for found in _transferred(training, sample, lanes)]


def _labelled(training: Training, lane: int) -> Tensor:
    """Evolve test rows in batches towards their own classes, as the known code does."""
    own = slice(lane, lane + 1)
    head, offset = training.network.lanes(own).head
    centres = training.centres.lanes(own)
    found = []
    for theta, labels in training.theta(lane, training.test[lane], training.options.batch_size):
        evolved = training.network.evolution.forward(theta, centres.of(labels, theta))[0]
        found.append(training.targets.predict(torch.baddbmm(offset, evolved, head.transpose(1, 2))[0]))
    return torch.cat(found).cpu()


def _transferred(training: Training, sample: int, lanes: int) -> Iterator[Tensor]:
    """Move test rows by the layer that the training rows evolve along; one pass over the sample serves all its lanes."""
    rows, evolution, size = training.rows, training.network.evolution, training.block
    own = slice(sample * lanes, (sample + 1) * lanes)
    network, centres, trained = training.network.lanes(own), training.centres.lanes(own), training.trained[own]
    labels = training.labels[sample * rows.count : (sample + 1) * rows.count]
    test = training.test[own]
    remember = sum(map(len, test)) * network.head[0].shape[2] <= REMEMBERED
    remembered: list[list[Tensor]] = [[] for _ in test]

    def embedded(keep: bool = False) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for start in range(0, rows.count, size):
            stop = min(start + size, rows.count)
            theta = network.theta(rows.block(sample, start, stop).expand(lanes, -1, -1))
            for kept, some, mask in zip(remembered, theta, trained[:, start:stop], strict=True):
                if keep:
                    kept.append(some[~mask])
            yield theta, labels[start:stop].expand(lanes, *[-1] * labels.ndim), trained[:, start:stop, None].to(theta.dtype)

    counts = trained.sum(dim=1).view(-1, 1, 1)
    mean = std = training.centres.table.new_zeros(1, 1, 1)
    if training.options.centre_offset:
        mean, std = _moments(embedded(), counts)

    def blocks() -> Iterator[Block]:
        for theta, classes, mask in embedded(keep=remember and not remembered[0]):
            yield theta, centres.placed(classes, mean, std), mask

    head, offset = network.head
    layer = evolution.layer(blocks, counts, evolution.identity(head)) @ head.transpose(1, 2)
    for lane, one in enumerate(test):
        thetas = iter(remembered[lane]) if remembered[lane] else (t[0] for t, _ in training.theta(own.start + lane, one, size))
        logits = (torch.addmm(offset[lane], evolution.with_ones(theta), layer[lane]) for theta in thetas)
        yield torch.cat([training.targets.predict(some) for some in logits]).cpu()


def _moments(blocks: Iterator[tuple[Tensor, Tensor, Tensor]], counts: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and std [L, 1, K] of the embeddings of the rows that count."""
    total = squares = torch.zeros((), device=counts.device, dtype=torch.float64)
    for theta, _, mask in blocks:
        total = total + (theta * mask).sum(dim=1, keepdim=True, dtype=torch.float64)
        squares = squares + (theta.square() * mask).sum(dim=1, keepdim=True, dtype=torch.float64)
    mean = total / counts
    return mean.float(), (squares / counts - mean.square()).clamp_min(0).sqrt().float()
