"""Measures what judging every image once buys over random splits: `python benchmarks/cross_fitting.py FOLDER STORE`.

FOLDER holds checkpoints and image sets as benchmarks/real_zoo.py reads them; embeddings are kept in STORE. Every model gets ITM
on a balanced sample of each set, run after run from other seeds, and on all images of the set as a reference. All of it is
computed by one thread. Ends with a table, and writes all figures as JSON.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
import torch
from rich.console import Console
from rich.table import Column, Table
from scipy.stats import weightedtau
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from itm.core.params import Params
from itm.core.sections import DataParams, ExtractParams, ZooParams
from itm.data.index import read_index
from itm.data.ingest import ingest
from itm.features.extract import extract
from itm.ranking.intervals import half_width
from itm.run.plan import plan
from itm.scores.accuracy import accuracy
from itm.scores.itm.options import ItmOptions
from itm.scores.itm.score import itm
from itm.scores.sample import Sample, canonical
from itm.scores.splits import Split, Splitting
from itm.store.feature_file import read_embeddings
from itm.store.layout import Store

SETS = ("flowers5", "trashnet", "grocery81", "rsscn7")
ONE, FIVE = "paper, 1 split", "paper, 5 splits"
CROSS, TWICE = "cross-fitted, 1 seed", "cross-fitted, 2 seeds"
SCHEMES = {
    ONE: Splitting("paper"),
    FIVE: Splitting("paper", seeds=5),
    CROSS: Splitting("cross_fitted"),
    TWICE: Splitting("cross_fitted", seeds=2),
}
SEED, REFERENCE_SEED = 0, 1  # a split's seed gives the first weights too, so that the reference has others
REFERENCE = (Splitting("paper", seeds=10), Splitting("cross_fitted", seeds=2))  # ten fits either way
COLUMNS = {
    "score": ("score", ".1f"),
    "deviation": ("s.d.", ".2f"),
    "agreement": ("tau_w, two runs", ".3f"),
    "worst": ("worst", ".3f"),
    "near_reference": ("tau_w, reference", ".3f"),
    "spread": ("max - min", ".3f"),
    "ties": ("ties", ".1%"),
    "half_width": ("half width", ".1f"),
    "holds_reference": ("holds reference", ".0%"),
    "holds_shifted": ("holds shifted", ".0%"),
    "seconds": ("seconds", ".2f"),
}
CAPTION = (
    "score, s.d. and half width in points; ties: adjacent models with equal scores; holds: how often the 95 % interval holds "
    "the score on all images (reference), also less what models gain by them on average (shifted); all sets: mean, worst of all"
)


@dataclass(frozen=True)
class Runs:
    """Draws [model, run, draw] of one scheme, and the processor's seconds a run, mean over models."""

    draws: np.ndarray
    seconds: float

    @property
    def scores(self) -> np.ndarray:
        """Return the scores [model, run]."""
        return np.asarray(self.draws.mean(axis=2))


@dataclass(frozen=True)
class Found:
    """All of one set: the runs of each scheme on the sample, and each model's score on all images."""

    images: int
    sampled: int
    models: list[str]
    runs: dict[str, Runs]
    reference: np.ndarray

    @property
    def above(self) -> float:
        """Return by how many points a model scores higher on all images, half of the fits by either way of splitting."""
        sample = np.mean([self.runs[name].scores for name in (FIVE, CROSS)])
        return 100 * float(self.reference.mean() - sample)


def embeddings(source: str, zoo: Path, images: int, store: Store) -> Iterator[tuple[str, Sample, Sample]]:
    """Yield each model's name with its embeddings of all images of a set, and of a balanced sample of them."""
    extraction = ExtractParams(device="cpu", decode_workers=0)
    planned = plan(Params(data=DataParams(sets=(source,)), zoo=ZooParams(file=zoo), extract=extraction), store)
    for failure in (*planned.failed_data, *planned.failed_models):
        raise SystemExit(f"{failure.data} {failure.model}: {failure.reason}")
    sampled = read_index(ingest(source, DataParams(max_images=images), Store(store.root / f"sample_{images}")))
    chosen = set(sampled.filter(pl.col("status") == "ok")["id"])
    for model, data in planned.pairs:
        features = extract(model, data, ("train", "val", "test"), extraction, store)
        table, labels, ids = read_embeddings(features.path)
        some = np.flatnonzero([one in chosen for one in ids])
        yield model.name, canonical(table, labels, ids), canonical(table[some], labels[some], [ids[row] for row in some])


def fits(sample: Sample, splits: list[Split]) -> list[float]:
    """Return the accuracy of ITM on each split, all of them in one program, as a score is computed."""
    (predicted,) = itm([sample], [splits], ItmOptions(), "cpu")
    if isinstance(predicted, Exception):
        raise predicted
    return [accuracy(found, sample.labels[split.judge]) for found, split in zip(predicted, splits, strict=True)]


def run(sample: Sample, scheme: Splitting, count: int, seed: int) -> tuple[list[list[float]], float]:
    """Return the draws of `count` runs, of seeds drawn from `seed`, and the processor's seconds a run."""
    splits = replace(scheme, seeds=count * scheme.seeds, seed=seed).of(sample.labels)
    started = time.process_time()
    found = [fits(sample, splits[start : start + scheme.draws]) for start in range(0, len(splits), scheme.draws)]
    return found, (time.process_time() - started) / count


def measure(source: str, zoo: Path, images: int, count: int, store: Store) -> Found:
    """Score every model of a set by every scheme.

    One random split is the first of five, and a run of two seeds is two runs of one, so that no fit is made twice; but the time
    of these is taken from a run of its own.
    """
    models, reference, sizes = [], [], (0, 0)
    draws: dict[str, list[list[list[float]]]] = {FIVE: [], TWICE: []}
    seconds: dict[str, list[float]] = {name: [] for name in SCHEMES}
    for model, whole, sample in embeddings(source, zoo, images, store):
        models.append(model)
        sizes = len(whole.labels), len(sample.labels)
        for name, runs in {ONE: 1, FIVE: count, CROSS: 1, TWICE: count // 2}.items():
            found, took = run(sample, SCHEMES[name], runs, SEED)
            seconds[name].append(took)
            if name in draws:
                draws[name].append(found)
        reference.append(np.mean([run(whole, scheme, 1, REFERENCE_SEED)[0] for scheme in REFERENCE]))
    five, twice = np.array(draws[FIVE]), np.array(draws[TWICE])
    cut = {ONE: five[:, :, :1], FIVE: five, CROSS: twice.reshape(len(models), count, -1), TWICE: twice}
    return Found(
        *sizes, models, {name: Runs(cut[name], float(np.mean(seconds[name]))) for name in SCHEMES}, np.array(reference)
    )


def facts(found: Found, name: str) -> dict[str, float]:
    """Put the runs of one scheme in figures, the keys of which are those of `COLUMNS`; a single draw has no interval."""
    runs, scheme = found.runs[name], SCHEMES[name]
    scores = runs.scores
    several = range(scores.shape[1])
    pairs = [weightedtau(scores[:, one], scores[:, other]).statistic for one, other in combinations(several, 2)]
    near = [weightedtau(scores[:, one], found.reference).statistic for one in several]
    figures = {
        "score": 100 * float(scores.mean()),
        "deviation": 100 * float(deviations(runs).mean()),
        "agreement": float(np.mean(pairs)),
        "worst": float(np.min(pairs)),
        "near_reference": float(np.mean(near)),
        "spread": float(np.ptp(near)),
        "ties": float((np.diff(np.sort(scores, axis=0), axis=0) < 1e-9).mean()),  # the order of draws is in a mean's last bits
        "seconds": runs.seconds,
    }
    if scheme.draws > 1:
        share = scheme.judged_over_learnt
        halves = np.array([[half_width("held_out", one.tolist(), share) for one in model] for model in runs.draws])
        figures["half_width"] = 100 * float(halves.mean())
        shifted = found.reference - (found.reference.mean() - scores.mean())
        for key, truth in {"holds_reference": found.reference, "holds_shifted": shifted}.items():
            figures[key] = float((np.abs(scores - truth[:, None]) <= halves).mean())
    return figures


def deviations(runs: Runs) -> np.ndarray:
    """Return the standard deviation of each model's score over the runs."""
    return np.asarray(runs.scores.std(axis=1, ddof=1))


def averaged(figures: list[dict[str, float]]) -> dict[str, float]:
    """Return the mean over sets of every figure, the worst of the worst."""
    columns = {key: [one[key] for one in figures] for key in figures[0]}
    return {key: min(of) if key == "worst" else float(np.mean(of)) for key, of in columns.items()}


def table(figures: dict[str, dict[str, dict[str, float]]]) -> Table:
    """Return all figures as a table, a row a scheme of a set."""
    shown = Table("set", Column("scheme", no_wrap=True), caption=CAPTION, caption_justify="left")
    for heading, _ in COLUMNS.values():
        shown.add_column(heading, justify="right")
    for name, schemes in figures.items():
        for scheme, found in schemes.items():
            cells = [format(found[key], form) if key in found else "" for key, (_, form) in COLUMNS.items()]
            shown.add_row(name, scheme, *cells, end_section=scheme == TWICE)
    return shown


def main() -> None:
    """Measure set after set, show the table, and write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="Checkpoints and sets, as benchmarks/real_zoo.py reads them.")
    parser.add_argument("store", type=Path, help="Where embeddings are kept.")
    parser.add_argument("--sets", nargs="+", default=SETS, help="Folders below FOLDER/sets.")
    parser.add_argument("--images", type=int, default=500, help="Images of the sample.")
    parser.add_argument(
        "--runs", type=int, default=10, help="Runs of five fits by either way of splitting; an even number, 4 or more."
    )
    parser.add_argument("--output", type=Path, help="The JSON; cross_fitting.json in STORE unless said otherwise.")
    options = parser.parse_args()
    if options.runs < 4 or options.runs % 2:
        parser.error(f"--runs is {options.runs}; an even number from 4 on is needed, since two seeds take two runs of one.")
    torch.set_num_threads(1)
    threadpool_limits(1)
    options.store.mkdir(parents=True, exist_ok=True)
    zoo = options.store / "real_zoo.yaml"
    subprocess.run([sys.executable, Path(__file__).with_name("real_zoo.py"), options.folder, zoo], check=True)
    sets: dict[str, Found] = {}
    for name in options.sets:
        started = time.process_time()
        source = f"folder:{options.folder.resolve() / 'sets' / name}"
        sets[name] = found = measure(source, zoo, options.images, options.runs, Store(options.store))
        took = time.process_time() - started
        print(
            f"{name}: {found.sampled} of {found.images} images, all of them score {found.above:+.1f} points, {took:.0f} s",
            flush=True,
        )
    figures = {name: {scheme: facts(found, scheme) for scheme in SCHEMES} for name, found in sets.items()}
    of_all = {scheme: averaged([schemes[scheme] for schemes in figures.values()]) for scheme in SCHEMES}
    Console(width=170).print(table({**figures, "all sets": of_all}))
    five, cross = (np.concatenate([deviations(found.runs[name]) for found in sets.values()]) for name in (FIVE, CROSS))
    print(f"at equal cost {CROSS} varies less than {FIVE} for {(cross < five).sum()} of {len(five)} models and sets")
    written = {
        "runs": options.runs,
        "schemes": {name: asdict(scheme) for name, scheme in SCHEMES.items()},
        "figures": {**figures, "all": of_all},
        "varies_less": {"of": len(five), "cross_fitted": int((cross < five).sum())},
        "sets": {
            name: {
                "images": found.images,
                "sampled": found.sampled,
                "models": found.models,
                "reference": found.reference.tolist(),
                "reference_above_mean": found.above,
                "draws": {scheme: runs.draws.tolist() for scheme, runs in found.runs.items()},
            }
            for name, found in sets.items()
        },
    }
    output = options.output or options.store / "cross_fitting.json"
    output.write_text(json.dumps(written, indent=1), encoding="utf-8")
    print(f"all figures in {output}")


if __name__ == "__main__":
    main()
