"""Compare ITM's engine with a plain implementation of the method and with its matrix products: `python benchmarks/dva.py`.

With --device cuda, only 64 models at once are timed against a loop over them. The last line is JSON.
Run it on an idle machine: two programs on two cores wait for each other far longer than they compute.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from benchmarks.plain_itm import Plain
from itm.scores import Evaluation, Fold, Sample, Splitting, canonical, evaluate_together
from itm.scores.itm.options import ItmOptions
from itm.scores.itm.rows import Rows
from itm.scores.itm.score import Itm
from itm.scores.itm.training import BLOCK, Training

Tensor = torch.Tensor
SHAPES = ((5_000, 768, 37), (10_000, 2_048, 100), (50_000, 1_024, 397))
REPEATS = 5
OPTIONS = ItmOptions()
CPU = torch.device("cpu")


def made(rows: int, width: int, classes: int, seed: int = 0) -> Sample:
    """Return Gaussian classes that a linear map separates in part."""
    rng = np.random.default_rng(seed)
    labels = np.arange(rows) % classes
    centres = rng.standard_normal((classes, width), dtype=np.float32) / width**0.25
    features = rng.standard_normal((rows, width), dtype=np.float32)
    features += centres[labels]
    return Sample(features, np.arange(rows), labels)


def products(sample: Sample, fold: Fold) -> None:
    """Compute only the matrix products of the engine: equal shapes and counts, into memory that is already allocated."""
    size, width, classes = OPTIONS.batch_size, sample.table.shape[1], sample.classes
    features, x = torch.from_numpy(sample.table), torch.ones(1, size, width)
    weight, grown = torch.ones(1, classes, width), torch.ones(1, classes, width)
    theta, square, moved = torch.ones(1, size, classes), torch.ones(1, classes, classes), torch.ones(1, size, classes)
    rows_at_once = BLOCK["cpu"] // width
    block, other = torch.ones(1, rows_at_once, classes), torch.ones(1, rows_at_once, classes)
    train, test = len(fold.train), len(fold.test)

    def over(rows: int, trained: bool) -> None:
        for start in range(0, rows, rows_at_once):
            some = features[start : min(start + rows_at_once, rows)][None]
            out = block[:, : some.shape[1]]
            torch.bmm(some, weight.transpose(1, 2), out=out)
            if trained:
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
        if step % OPTIONS.evaluate_every == 0:
            over(train, trained=True)
            over(test, trained=False)


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the run time of some work, and its result."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def engine(sample: Sample, folds: list[Fold]) -> list[float]:
    """Return the engine's accuracy in each fold."""
    predicted = Itm(OPTIONS).predict(sample, folds)
    return [float((found == sample.labels[fold.test]).mean()) for found, fold in zip(predicted, folds, strict=True)]


def compare(sample: Sample) -> dict[str, float]:
    """Time one score in each of five folds by all three, side by side, and compare the scores."""
    folds = Splitting("holdout", repeats=REPEATS).of(sample.labels)
    plain, ours, bare, scores = [], [], [], []
    for fold in folds:
        took, (accuracy, _) = seconds(lambda fold=fold: Plain(sample, fold, OPTIONS).run())
        plain.append(took)
        took, (own,) = seconds(lambda fold=fold: engine(sample, [fold]))
        ours.append(took)
        bare.append(seconds(lambda fold=fold: products(sample, fold))[0])
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
    """Return the largest difference of the losses for the same weights and batches."""
    (fold,) = Splitting("holdout").of(sample.labels)
    training = Training(Rows([sample], CPU), torch.from_numpy(sample.labels), sample.classes, [[fold]], OPTIONS)
    batches = training.batches()
    fed = [next(batches) for _ in range(OPTIONS.steps)]
    plain = Plain(sample, fold, OPTIONS, [parameter.clone() for parameter in training.network.parameters])
    loader = DataLoader(plain.data, batch_sampler=[rows[0].tolist() for rows in fed])
    _, expected = plain.run(loader)
    found = [-training.step(rows).log().mean().item() for rows in fed]
    return max(abs(a - b) for a, b in zip(found, expected, strict=True))


def growth(width: int = 768, classes: int = 37) -> dict[str, float]:
    """Return the seconds of one fold of 5,000 to 500,000 rows."""
    found = {}
    for rows in (5_000, 20_000, 50_000, 100_000, 200_000, 500_000):
        sample = made(rows, width, classes)
        folds = Splitting("holdout").of(sample.labels)
        found[rows] = statistics.median(seconds(lambda s=sample, f=folds: engine(s, f))[0] for _ in range(3))
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

    scores(tables[:1], device)  # compiles or loads the kernels of the device
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
        engine(sample, Splitting("holdout").of(sample.labels))  # imports and first allocations are not timed
        compared[name] = compare(sample) | {"loss_apart": trajectory(sample)}
        print(name, {key: round(value, 6 if key == "loss_apart" else 3) for key, value in compared[name].items()}, flush=True)
    sample = made(*SHAPES[0])
    folds = Splitting("holdout", repeats=REPEATS).of(sample.labels)
    pairs = [(seconds(lambda: engine(sample, folds))[0], seconds(lambda: engine(sample, folds[:1]))[0]) for _ in range(7)]
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
