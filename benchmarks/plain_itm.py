"""A plain implementation of ITM, which the benchmarks compare the engine with."""

from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

from itm.scores import Fold, Sample
from itm.scores.itm.options import ItmOptions

Tensor = torch.Tensor


class Plain:
    """The method implemented plainly: layers of torch.nn, autograd, a DataLoader, and the power of the B x B matrix."""

    def __init__(self, sample: Sample, fold: Fold, options: ItmOptions, start: list[Tensor] | None = None) -> None:
        self.options = options
        features, labels = torch.from_numpy(sample.table), torch.from_numpy(sample.labels)
        features = (features - features.mean(dim=0)) / features.std(dim=0, correction=0).clamp_min(1e-6)
        self.data = TensorDataset(features, labels)
        self.train, self.test = (TensorDataset(features[rows], labels[rows]) for rows in (fold.train, fold.test))
        torch.manual_seed(fold.seed)
        self.classes = sample.classes
        self.map = torch.nn.Linear(features.shape[1], self.classes)
        self.head = torch.nn.Linear(self.classes, self.classes)
        self.parameters = [*self.map.parameters(), *self.head.parameters()]
        for parameter, value in zip(self.parameters, start or [], strict=bool(start)):
            parameter.data.copy_(value.reshape(parameter.shape))
        self.optimiser = torch.optim.AdamW(
            self.parameters, lr=self.options.learning_rate, weight_decay=self.options.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimiser, lambda step: 1 - step / options.schedule_steps)

    def run(self, batches: Iterable[list[Tensor]] | None = None) -> tuple[float, list[float]]:
        """Train, and return the best accuracy of all evaluations and the losses of all steps."""
        best, losses = 0.0, []
        for x, labels in batches or self.shuffled():
            losses.append(self.step(x, labels))
            if len(losses) % self.options.evaluate_every == 0:
                best = max(best, self.accuracy())
            if len(losses) == self.options.steps:
                break
        return best, losses

    def shuffled(self) -> Iterator[list[Tensor]]:
        """Yield batches, epoch after epoch."""
        loader = DataLoader(self.train, batch_size=self.options.batch_size, shuffle=True)
        while True:
            yield from loader

    def step(self, x: Tensor, labels: Tensor) -> float:
        """Take one step and return its loss."""
        centres = F.one_hot(labels, self.classes).float()
        theta = F.normalize(self.map(x), dim=1)
        kernel = (theta @ theta.T).detach() / len(x)
        move = torch.matrix_power(torch.eye(len(x)) - self.options.eta * kernel, self.options.recursions)
        loss = F.cross_entropy(self.head(centres + move @ (theta - centres)), labels)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.schedule.step()
        return loss.item()

    @torch.no_grad()
    def accuracy(self) -> float:
        """Return the accuracy on the test rows, moved by the layer that the training rows evolve along."""
        inner = target = torch.zeros(self.classes, self.classes)
        for x, labels in DataLoader(self.train, batch_size=self.options.batch_size):
            theta = F.normalize(self.map(x), dim=1)
            inner = inner + theta.T @ theta
            target = target + theta.T @ F.one_hot(labels, self.classes).float()
        layer = torch.eye(self.classes)
        for _ in range(self.options.recursions):
            layer = layer - self.options.eta * (inner @ layer - target) / len(self.train)
        right = 0
        for x, labels in DataLoader(self.test, batch_size=self.options.batch_size):
            right += int((self.head(F.normalize(self.map(x), dim=1) @ layer).argmax(dim=1) == labels).sum())
        return right / len(self.test)
