"""Training of all lanes together; a lane is one fold of one sample.

Besides the parameters only one batch per lane, or one block of rows, is held in memory.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate

import torch
from torch.optim.adamw import adamw

from itm.scores.folds import Fold
from itm.scores.itm import centres as _centres
from itm.scores.itm.centres import Centres
from itm.scores.itm.evolution import Evolution
from itm.scores.itm.network import CLASSES, Network
from itm.scores.itm.options import ItmOptions
from itm.scores.itm.rows import Rows
from itm.scores.itm.targets import TARGETS, OwnCentres, Targets
from itm.scores.sample import Sample

Tensor = torch.Tensor
# Numbers in a block of rows, or in its Theta in all lanes: what fits into the caches of a CPU, and what fills a GPU.
BLOCK = {"cpu": 2**21, "cuda": 2**26}


def state_bytes(sample: Sample, lanes: int, options: ItmOptions) -> int:
    """Return the size in bytes of parameters, gradients, optimiser state and one batch of the lanes of one sample."""
    features, classes = int(sample.table.shape[1]), TARGETS[sample.kind.name].outputs(sample)
    width = _width(TARGETS[sample.kind.name], classes, options)
    parameters = options.hidden_blocks * features**2 + width * features + classes * width
    return 4 * lanes * (4 * parameters + options.batch_size * (features + 4 * width))


def _width(targets: Targets, outputs: int, options: ItmOptions) -> int:
    """Return the number of dimensions of the evolved space."""
    return outputs + 1 if targets.own_centres else options.centre_dimensions or outputs


class Training:
    """The state of all lanes, for encoded targets `labels` in the numbering of `rows` and the `folds` of each sample.

    `classes` is the number of outputs of the head.
    """

    def __init__(
        self,
        rows: Rows,
        labels: Tensor,
        classes: int,
        folds: Sequence[Sequence[Fold]],
        options: ItmOptions,
        targets: Targets = CLASSES,
    ) -> None:
        self.targets = targets
        self.rows, self.options, self.labels, self.samples = rows, options, labels.to(rows.device), len(folds)
        self.train = [torch.from_numpy(fold.train) + i * rows.count for i, own in enumerate(folds) for fold in own]
        self.test = [torch.from_numpy(fold.test) + i * rows.count for i, own in enumerate(folds) for fold in own]
        self.trained = torch.zeros(len(self.train), rows.count, dtype=torch.bool, device=rows.device)
        for mask, fold in zip(self.trained, [fold for own in folds for fold in own], strict=True):
            mask[torch.from_numpy(fold.train)] = True
        self.generators = [torch.Generator().manual_seed(fold.seed) for own in folds for fold in own]
        width = _width(targets, classes, options)
        sizes = [*[(rows.width, rows.width)] * options.hidden_blocks, (width, rows.width), (classes, width)]
        self.state = [_packed(sizes, len(self.train), rows.device) for _ in range(4)]
        (_, parameters), (_, gradient), *_ = self.state
        _draw(parameters, self.generators)
        self.network = Network(parameters, gradient, Evolution.of(options), targets)
        self.memory = torch.empty(0, device=rows.device)
        self.block = max(1, BLOCK[rows.device.type] // max(rows.width, len(folds[0]) * width))
        if targets.own_centres:
            self.centres: Centres = OwnCentres(torch.empty(0), options.centre_offset)
        else:
            self.centres = Centres(self._table(classes, width).to(rows.device), options.centre_offset)
        self.steps, self.count = 0, torch.zeros((), device=rows.device)  # the optimiser counts on the device

    def batches(self) -> Iterator[Tensor]:
        """Yield row numbers [L, B] without end; each lane is shuffled by its own generator in every epoch.

        The last batch of an epoch takes the rest. Lanes have as many rows per epoch as the smallest training set: a lane with
        more leaves out others in every epoch.
        """
        count = min(len(rows) for rows in self.train)
        while True:
            lanes = zip(self.train, self.generators, strict=True)
            order = torch.stack([rows[torch.randperm(len(rows), generator=one)[:count]] for rows, one in lanes])
            yield from order.split(self.options.batch_size, dim=1)

    def step(self, batch: Tensor) -> Tensor:
        """Take one step on the rows `batch` [L, B] and return what `Network.differentiate` does, as it was before the step."""
        x = self._read(batch)
        probability = self.network.differentiate(x, self._classes(batch), self.centres)
        parameters, gradient, averages, squares = [[buffer] for buffer, _ in self.state]
        adamw(  # the function and not the class: one pass over the state, and it imports no compiler
            parameters,
            gradient,
            averages,
            squares,
            [],
            [self.count],
            fused=True,
            lr=self.options.learning_rate * (1 - self.steps / self.options.schedule_steps),
            beta1=0.9,
            beta2=0.999,
            eps=1e-8,
            weight_decay=self.options.weight_decay,
            amsgrad=False,
            maximize=False,
        )
        self.steps += 1
        return probability

    def _classes(self, batch: Tensor) -> Tensor:
        return self.labels.index_select(0, batch.reshape(-1).to(self.labels.device)).view(*batch.shape, *self.labels.shape[1:])

    def _read(self, batch: Tensor) -> Tensor:
        """Return the features [L, B, D] of rows `batch` [L, B], in memory that the next call reuses: allocation is slower."""
        numbers = batch.numel() * self.rows.width
        if len(self.memory) < numbers:
            self.memory = torch.empty(numbers, device=self.rows.device)
        x = self.memory[:numbers].view(*batch.shape, self.rows.width)
        self.rows.take(batch.reshape(-1), x.view(-1, self.rows.width))
        return x

    def theta(self, lane: int, rows: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield Theta [1, B, K] and the targets, [1, B] or [1, B, T], of `rows` in one lane, `size` at a time."""
        network = self.network.lanes(slice(lane, lane + 1))
        for some in rows.split(size):
            yield network.theta(self._read(some[None])), self._classes(some[None])

    def _table(self, classes: int, width: int) -> Tensor:
        if self.options.centres == "one_hot":
            return _centres.one_hot(classes)
        if self.options.centres == "random":
            return _centres.random(classes, width, self.generators)
        blocks = ((theta for theta, _ in self.theta(lane, rows, self.block)) for lane, rows in enumerate(self.train))
        return torch.cat([_centres.principal_axes(block, classes) for block in blocks])


def _packed(sizes: Sequence[tuple[int, int]], lanes: int, device: torch.device) -> tuple[Tensor, list[Tensor]]:
    """Return a buffer of zeros for layers of these sizes (out, in), and the weight and bias of each as views on it.

    Weights are [L, out, in] and biases [L, 1, out]. With one buffer the optimiser makes one pass. Every tensor starts at a
    multiple of 16 numbers, for vector instructions.
    """
    shapes = [shape for out, fan_in in sizes for shape in ((lanes, out, fan_in), (lanes, 1, out))]
    lengths = [math.prod(shape) for shape in shapes]
    ends = list(accumulate(-(-length // 16) * 16 for length in lengths))
    buffer = torch.zeros(ends[-1], device=device)
    starts = [0, *ends[:-1]]
    views = [buffer[s : s + n].view(shape) for s, n, shape in zip(starts, lengths, shapes, strict=True)]
    return buffer, views


def _draw(parameters: list[Tensor], generators: Sequence[torch.Generator]) -> None:
    """Draw the parameters of each lane from its generator, uniformly within 1 / sqrt(fan in) as torch.nn.Linear does."""
    for weight, bias in zip(parameters[::2], parameters[1::2], strict=True):
        bound = weight.shape[2] ** -0.5
        for parameter in (weight, bias):
            drawn = [torch.rand(*parameter.shape[1:], generator=generator) for generator in generators]
            parameter.copy_(torch.stack(drawn).mul_(2 * bound).sub_(bound))
