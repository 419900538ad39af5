"""Measure the time of every score, of all together on shared sums, and of LogME as published: `python benchmarks/scores.py`.

Each runs in a process of its own, whose peak memory is reported: the interpreter with its libraries, the embeddings, and what
the score needs. Probe scores are timed with all their folds, the others as one value; --folds adds their values of the training
rows of each fold, from which intervals are computed. The last line is JSON. Run it on an idle machine.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from itm.scores import ModelInfo, Sample, StatisticScore, canonical, evaluate_together, get, make, names

HEAVY = ("nleep", "lead", "parc")  # timed alone only
OUTPUTS = 1000  # of the models' own classifiers
GIB = 2**30


def write_sample(folder: Path, rows: int, width: int, classes: int) -> None:
    """Write embeddings of Gaussian classes that a linear map separates in part, and outputs of another classifier."""
    rng = np.random.default_rng(0)
    labels = np.arange(rows) % classes
    mixing = rng.standard_normal((width // 8, width), dtype=np.float32) / (width // 8) ** 0.5
    features = rng.standard_normal((rows, width // 8), dtype=np.float32) @ mixing
    features += 0.5 * rng.standard_normal((rows, width), dtype=np.float32)
    features += rng.standard_normal((classes, width), dtype=np.float32)[labels] * np.float32(2 / width**0.5)
    np.save(folder / "features.npy", np.maximum(features + 0.5, 0))  # as after a last rectifier
    np.save(folder / "labels.npy", labels)
    np.save(folder / "logits.npy", features @ rng.standard_normal((width, OUTPUTS), dtype=np.float32) / np.float32(width**0.5))


def load(folder: Path) -> Sample:
    """Return the sample in a folder."""
    features, labels, logits = (np.load(folder / f"{name}.npy") for name in ("features", "labels", "logits"))
    model = ModelInfo(logits=logits, parameters=1e7, gmacs=1.0, imagenet_top1=80.0, identity="made")
    return canonical(features, labels, [f"{row:07d}" for row in range(len(labels))], model)


def value(name: str, sample: Sample, folds: bool) -> float:
    """Return a score as the library computes it; statistics without the values per fold unless `folds` asks for them."""
    score = make(name)
    if isinstance(score, StatisticScore) and not folds:
        return score.value(sample)
    (result,) = evaluate_together(name, [sample])
    if isinstance(result, Exception):
        raise result
    return result.value


def scored(folder: Path, chosen: list[str], folds: bool) -> dict[str, float]:
    """Return the run time in seconds of each of these scores for one sample, in this order."""
    sample, seconds = load(folder), {}
    names()  # imports all scores, which is not timed
    for name in chosen:
        started = time.perf_counter()
        value(name, sample, folds)
        seconds[name] = time.perf_counter() - started
    return seconds


def fixed_point(folder: Path, decompositions: str, classes: int) -> dict[str, float]:
    """Time LogME as published: a singular value decomposition per class, then alternating updates of alpha and beta.

    With decompositions "one per class" it follows the formula; with "one" all classes share the first decomposition.
    """
    features = np.load(folder / "features.npy").astype(np.float64)
    labels = np.load(folder / "labels.npy")
    n, d = features.shape
    started = time.perf_counter()
    evidence, parts = [], None
    for label in range(classes):
        if parts is None or decompositions == "one per class":
            parts = np.linalg.svd(features, full_matrices=False)
        left, singular, _ = parts
        target = (labels == label).astype(np.float64)
        along, values = (left.T @ target) ** 2, singular**2
        outside = target @ target - along.sum()
        alpha = beta = 1.0
        for _ in range(11):
            ratio = alpha / beta
            gamma = (values / (values + ratio)).sum()
            weights = (values * along / (values + ratio) ** 2).sum()
            residual = (along / (1 + values / ratio) ** 2).sum() + outside
            alpha, beta = gamma / (weights + 1e-5), (n - gamma) / (residual + 1e-5)
            if abs(alpha / beta - ratio) <= 1e-3 * ratio:
                break
        volume = d / 2 * np.log(alpha) + n / 2 * np.log(beta) - np.log(alpha + beta * values).sum() / 2
        evidence.append((volume - beta / 2 * residual - alpha / 2 * weights) / n - np.log(2 * np.pi) / 2)
    seconds = time.perf_counter() - started
    print(f"    value {np.mean(evidence):.6f}")
    return {"seconds": seconds}


def matrix_vector(folder: Path) -> dict[str, float]:
    """Time LogME's first published form: one decomposition of the Gram matrix, then matrix-vector products in every update."""
    features = np.load(folder / "features.npy").astype(np.float64)
    labels = np.load(folder / "labels.npy")
    n = len(features)
    started = time.perf_counter()
    left, values, right = np.linalg.svd(features.T @ features)
    for label in np.unique(labels):
        target = (labels == label).astype(np.float64)
        alpha = beta = 1.0
        for _ in range(11):
            ratio = alpha / beta
            weights = left @ ((right @ (features.T @ target)) / (values + ratio))
            gamma = (values / (values + ratio)).sum()
            alpha, beta = gamma / (weights @ weights), (n - gamma) / ((features @ weights - target) ** 2).sum()
            if abs(alpha / beta - ratio) <= 1e-3 * ratio:
                break
    return {"seconds": time.perf_counter() - started}


def apart(work: Callable[..., dict[str, float]], *arguments: Any) -> tuple[dict[str, float], float]:
    """Return the result of `work` in a process of its own, and the peak memory of that process in GiB."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_watched, (work, arguments))


def _watched(work: Callable[..., dict[str, float]], arguments: tuple[Any, ...]) -> tuple[dict[str, float], float]:
    result = work(*arguments)
    return result, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB


def each(folder: Path, chosen: list[str], folds: bool) -> Iterator[tuple[str, float, float]]:
    """Yield the name, the seconds and the peak memory in GiB of each score by itself."""
    for name in chosen:
        seconds, peak = apart(scored, folder, [name], folds)
        yield name, seconds[name], peak


def measure(folder: Path, classes: int, folds: bool) -> Iterator[tuple[str, float, float]]:
    """Yield what was timed, its seconds and its peak memory in GiB, one line at a time."""
    single = [name for name in names() if get(name).sampling != "pooled"]
    yield from each(folder, single, folds)
    together = [name for name in single if name not in HEAVY]
    seconds, peak = apart(scored, folder, together, folds)
    yield "together", sum(seconds.values()), peak
    for name in together:
        yield f"together: {name}", seconds[name], peak
    for what, work in (
        ("LogME, one decomposition per class", (fixed_point, folder, "one per class", classes)),
        ("LogME, one decomposition", (fixed_point, folder, "one", classes)),
        ("LogME, matrix-vector products", (matrix_vector, folder)),
    ):
        seconds, peak = apart(*work)
        yield what, seconds["seconds"], peak


def main() -> None:
    """Print a line for each measurement, and JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=int, nargs=3, default=(5000, 2048, 100), metavar=("ROWS", "WIDTH", "CLASSES"))
    parser.add_argument(
        "--folds", "--draws", action="store_true", help="Time the values per fold of statistics too: six values, not one."
    )
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="SCORE", help="Time these scores, each alone, and nothing else."
    )
    options = parser.parse_args()
    seconds, peaks = {}, {}
    with TemporaryDirectory() as place:
        folder = Path(place)
        write_sample(folder, *options.shape)
        lines = each(folder, options.only, options.folds) if options.only else measure(folder, options.shape[2], options.folds)
        for what, took, peak in lines:
            print(f"{what:42} {took:8.2f} s {peak:6.2f} GiB", flush=True)
            seconds[what], peaks[what] = took, peak
    if options.only:
        return
    one, first, second = (seconds[what] for what in list(seconds)[-3:])
    least = min(first, second)
    summary = {
        "logme_speedup": round(one / seconds["logme"], 1),
        "registry_over_reference": round(seconds["together"] / one, 3),
        "peak_gib": round(max(peak for what, peak in peaks.items() if not what.startswith("LogME") and what not in HEAVY), 2),
        "seconds": {name: round(seconds[name], 2) for name in names() if name in seconds},
        "logme_speedup_over_one_decomposition": round(least / seconds["logme"], 1),
        "registry_over_one_decomposition": round(seconds["together"] / least, 2),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
