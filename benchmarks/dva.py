"""Times ITM's engine against a plain reading of the method and against its matrix products alone: `python benchmarks/dva.py`.

With --device cuda, 64 models at once are timed on it against a loop over them, and nothing else. Ends with a line of JSON.
Run it on an idle machine: two programs that share two cores wait for each other far longer than they compute.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

from itm.scores import Evaluation, canonical, evaluate_together
from itm.scores.itm.options import ItmOptions
from itm.scores.itm.rows import Rows
from itm.scores.itm.score import itm
from itm.scores.itm.training import BLOCK, Training
from itm.scores.sample import Sample
from itm.scores.splits import Split, Splitting

Tensor = torch.Tensor
SHAPES = ((5_000, 768, 37), (10_000, 2_048, 100), (50_000, 1_024, 397))
SEEDS = 5
OPTIONS = ItmOptions()
CPU = torch.device("cpu")


def made(rows: int, width: int, classes: int, seed: int = 0) -> Sample:
    """Return Gaussian classes that a linear map tells apart in part."""
    rng = np.random.default_rng(seed)
    labels = np.arange(rows) % classes
    centres = rng.standard_normal((classes, width), dtype=np.float32) / width**0.25
    features = rng.standard_normal((rows, width), dtype=np.float32)
    features += centres[labels]
    return Sample(features, np.arange(rows), labels)


class Plain:
    """The method read plainly: layers of torch.nn, autograd, a DataLoader, and the power of the B x B matrix."""

    def __init__(self, sample: Sample, split: Split, start: list[Tensor] | None = None) -> None:
        features, labels = torch.from_numpy(sample.table), torch.from_numpy(sample.labels)
        features = (features - features.mean(dim=0)) / features.std(dim=0, correction=0).clamp_min(1e-6)
        self.data = TensorDataset(features, labels)
        self.learn, self.judge = (TensorDataset(features[rows], labels[rows]) for rows in (split.learn, split.judge))
        torch.manual_seed(split.seed)
        self.classes = sample.classes
        self.map = torch.nn.Linear(features.shape[1], self.classes)
        self.head = torch.nn.Linear(self.classes, self.classes)
        self.parameters = [*self.map.parameters(), *self.head.parameters()]
        for parameter, value in zip(self.parameters, start or [], strict=bool(start)):
            parameter.data.copy_(value.reshape(parameter.shape))
        self.optimiser = torch.optim.AdamW(self.parameters, lr=OPTIONS.learning_rate, weight_decay=OPTIONS.weight_decay)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimiser, lambda step: 1 - step / OPTIONS.schedule_steps)

    def run(self, batches: Iterable[list[Tensor]] | None = None) -> tuple[float, list[float]]:
        """Train, judging on the way, and return the best accuracy and the losses of all steps."""
        best, losses = 0.0, []
        for x, labels in batches or self.shuffled():
            losses.append(self.step(x, labels))
            if len(losses) % OPTIONS.judge_every == 0:
                best = max(best, self.accuracy())
            if len(losses) == OPTIONS.steps:
                break
        return best, losses

    def shuffled(self) -> Iterator[list[Tensor]]:
        """Yield batches, epoch after epoch."""
        loader = DataLoader(self.learn, batch_size=OPTIONS.batch_size, shuffle=True)
        while True:
            yield from loader

    def step(self, x: Tensor, labels: Tensor) -> float:
        """Take one step and return its loss."""
        centres = F.one_hot(labels, self.classes).float()
        theta = F.normalize(self.map(x), dim=1)
        kernel = (theta @ theta.T).detach() / len(x)
        move = torch.matrix_power(torch.eye(len(x)) - OPTIONS.eta * kernel, OPTIONS.recursions)
        loss = F.cross_entropy(self.head(centres + move @ (theta - centres)), labels)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.schedule.step()
        return loss.item()

    @torch.no_grad()
    def accuracy(self) -> float:
        """Return the accuracy on the rows held out, moved by the layer that the rows learnt from evolve along."""
        inner = target = torch.zeros(self.classes, self.classes)
        for x, labels in DataLoader(self.learn, batch_size=OPTIONS.batch_size):
            theta = F.normalize(self.map(x), dim=1)
            inner = inner + theta.T @ theta
            target = target + theta.T @ F.one_hot(labels, self.classes).float()
        layer = torch.eye(self.classes)
        for _ in range(OPTIONS.recursions):
            layer = layer - OPTIONS.eta * (inner @ layer - target) / len(self.learn)
        right = 0
        for x, labels in DataLoader(self.judge, batch_size=OPTIONS.batch_size):
            right += int((self.head(F.normalize(self.map(x), dim=1) @ layer).argmax(dim=1) == labels).sum())
        return right / len(self.judge)


def products(sample: Sample, split: Split) -> None:
    """Do the engine's matrix products and nothing else: same shapes, same count, into memory that is there already."""
    size, width, classes = OPTIONS.batch_size, sample.table.shape[1], sample.classes
    features, x = torch.from_numpy(sample.table), torch.ones(1, size, width)
    weight, grown = torch.ones(1, classes, width), torch.ones(1, classes, width)
    theta, square, moved = torch.ones(1, size, classes), torch.ones(1, classes, classes), torch.ones(1, size, classes)
    size_judged = BLOCK["cpu"] // width
    block, other = torch.ones(1, size_judged, classes), torch.ones(1, size_judged, classes)
    learn, judge = len(split.learn), len(split.judge)

    def over(rows: int, learnt: bool) -> None:
        for start in range(0, rows, size_judged):
            some = features[start : min(start + size_judged, rows)][None]
            out = block[:, : some.shape[1]]
            torch.bmm(some, weight.transpose(1, 2), out=out)
            if learnt:
                torch.bmm(out.transpose(1, 2), out, out=square)
            else:
                torch.bmm(out, square, out=other[:, : some.shape[1]])

    for step in range(1, OPTIONS.steps + 1):
        torch.bmm(x, weight.transpose(1, 2), out=moved)  # Theta, before its rows are normalised
        for _ in range(2):  # the evolution and its transpose
            torch.bmm(theta.transpose(1, 2), theta, out=square)
            torch.bmm(theta, square, out=moved)
        torch.bmm(theta, square, out=moved)  # the head
        torch.bmm(theta.transpose(1, 2), theta, out=square)  # its gradient
        torch.bmm(theta, square, out=moved)  # the gradient of the evolved embeddings
        torch.bmm(theta.transpose(1, 2), x, out=grown)  # the gradient of the map
        if step % OPTIONS.judge_every == 0:
            over(learn, learnt=True)
            over(judge, learnt=False)


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return how long some work took, and what it came to."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def engine(sample: Sample, splits: list[Split]) -> list[float]:
    """Return the engine's accuracy on each split."""
    (predicted,) = itm([sample], [splits], OPTIONS, "cpu")
    assert isinstance(predicted, list)
    return [float((found == sample.labels[s.judge]).mean()) for found, s in zip(predicted, splits, strict=True)]


def compare(sample: Sample) -> dict[str, float]:
    """Time one score on each of five splits by all three, side by side, and compare the scores."""
    splits = Splitting("paper", seeds=SEEDS).of(sample.labels)
    plain, ours, bare, scores = [], [], [], []
    for split in splits:
        took, (accuracy, _) = seconds(lambda split=split: Plain(sample, split).run())
        plain.append(took)
        took, (own,) = seconds(lambda split=split: engine(sample, [split]))
        ours.append(took)
        bare.append(seconds(lambda split=split: products(sample, split))[0])
        scores.append((accuracy, own))
    theirs, own = np.mean(scores, axis=0)
    return {
        "plain": statistics.median(plain),
        "engine": statistics.median(ours),
        "products": statistics.median(bare),
        "speedup": statistics.median(np.divide(plain, ours).tolist()),
        "over_products": statistics.median(np.divide(ours, bare).tolist()),
        "plain_score": float(theirs),
        "engine_score": float(own),
    }


def trajectory(sample: Sample) -> float:
    """Return the largest difference of the losses, both fed the same weights and batches."""
    (split,) = Splitting("paper").of(sample.labels)
    training = Training(Rows([sample], CPU), torch.from_numpy(sample.labels), sample.classes, [[split]], OPTIONS)
    batches = training.batches()
    fed = [next(batches) for _ in range(OPTIONS.steps)]
    plain = Plain(sample, split, [parameter.clone() for parameter in training.network.parameters])
    loader = DataLoader(plain.data, batch_sampler=[rows[0].tolist() for rows in fed])
    _, expected = plain.run(loader)
    found = [-training.step(rows).log().mean().item() for rows in fed]
    return max(abs(a - b) for a, b in zip(found, expected, strict=True))


def growth(width: int = 768, classes: int = 37) -> dict[str, float]:
    """Return the seconds of one split of 5,000 to 500,000 rows."""
    found = {}
    for rows in (5_000, 20_000, 50_000, 100_000, 200_000, 500_000):
        sample = made(rows, width, classes)
        splits = Splitting("paper").of(sample.labels)
        found[rows] = statistics.median(seconds(lambda s=sample, p=splits: engine(s, p))[0] for _ in range(3))
    return found


def together(device: str, count: int, rows: int, width: int, classes: int) -> dict[str, float]:
    """Time several models at once against one after another, and compare the scores with those of the CPU."""
    tables = [made(rows, width, classes, seed=number).table for number in range(count)]
    labels, ids = np.arange(rows) % classes, [f"{row:06d}" for row in range(rows)]

    def scores(some: list[np.ndarray], where: str) -> list[float]:
        found = evaluate_together("itm", [canonical(table, labels, ids) for table in some], device=where)
        for one in found:
            if isinstance(one, Exception):
                raise one
        return [one.value for one in found if isinstance(one, Evaluation)]

    scores(tables[:1], device)  # the first kernels of a device are compiled or loaded
    at_once, values = seconds(lambda: scores(tables, device))
    looped, _ = seconds(lambda: [scores([table], device) for table in tables])
    on_cpu = scores(tables[:2], "cpu")
    apart = max(abs(a - b) for a, b in zip(values[: len(on_cpu)], on_cpu, strict=True))
    return {"at_once": at_once, "looped": looped, "loop_over_at_once": looped / at_once, "points_from_cpu": 100 * apart}


def main() -> None:
    """Print every comparison as it is made, and the figures as JSON at the end."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--device", help="Time several models at once on it, and nothing else: cuda, or cpu to see that it works."
    )
    parser.add_argument("--models", type=int, default=64, help="How many at once.")
    options = parser.parse_args()
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    if options.device:
        print(json.dumps({options.device: together(options.device, options.models, 10_000, 1_024, 100)}))
        return
    compared: dict[str, dict[str, float]] = {}
    for shape in SHAPES:
        sample = made(*shape)
        name = "x".join(map(str, shape))
        engine(sample, Splitting("paper").of(sample.labels))  # what is loaded or grown once is not the engine's time
        compared[name] = compare(sample) | {"loss_apart": trajectory(sample)}
        print(name, {key: round(value, 6 if key == "loss_apart" else 3) for key, value in compared[name].items()}, flush=True)
    sample = made(*SHAPES[0])
    splits = Splitting("paper", seeds=SEEDS).of(sample.labels)
    pairs = [(seconds(lambda: engine(sample, splits))[0], seconds(lambda: engine(sample, splits[:1]))[0]) for _ in range(7)]
    five_over_one = statistics.median(five / one for five, one in pairs)
    print(f"five seeds over one: {five_over_one:.2f}", flush=True)
    grown = growth()
    slope, constant = np.polyfit(list(grown), list(grown.values()), 1)
    for rows, took in grown.items():
        print(f"{rows:>7} rows: {took:7.3f} s, a line through all gives {constant + slope * rows:7.3f} s")
    result: dict[str, Any] = {
        "speedup_over_plain": {name: round(found["speedup"], 2) for name, found in compared.items()},
        "time_over_matrix_products": {name: round(found["over_products"], 2) for name, found in compared.items()},
        "five_seeds_over_one": round(five_over_one, 2),
        "growth": {str(rows): round(took, 3) for rows, took in grown.items()},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
