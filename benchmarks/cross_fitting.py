"""Measure the advantage of cross-validation over random test sets: `python benchmarks/cross_fitting.py FOLDER STORE`.

FOLDER holds checkpoints and image sets as benchmarks/real_zoo.py reads them; embeddings are kept in STORE. Every model gets ITM
on a balanced sample of each set, several times with different seeds, and on all images of the set as a reference. Everything is
computed by one thread. It prints a table and writes all figures as JSON.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import polars as pl
import torch
from rich.console import Console
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from benchmarks.cross_fitting_figures import CROSS, FIVE, ONE, SCHEMES, TWICE, Found, Runs, averaged, deviations, facts, table
from itm.core.params import Params
from itm.core.sections import DataParams, ExtractParams, ZooParams
from itm.data.index import read_index
from itm.data.ingest import ingest
from itm.features.extract import extract
from itm.kinds.metrics import accuracy
from itm.run.plan import plan
from itm.scores import Fold, Sample, Splitting, canonical
from itm.scores.itm.score import Itm
from itm.store.feature_file import read_embeddings
from itm.store.layout import Store

SETS = ("flowers5", "trashnet", "grocery81", "rsscn7")
SEED, REFERENCE_SEED = 0, 1  # the seed of a fold also gives the first weights: the reference has others
REFERENCE = (Splitting("holdout", repeats=10), Splitting("cross_validation", repeats=2))  # ten fits either way


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


def fits(sample: Sample, folds: list[Fold]) -> list[float]:
    """Return the accuracy of ITM in each fold, all in one program, as the score is computed."""
    predicted = Itm().predict(sample, folds)
    return [accuracy(found, sample.labels[fold.test]) for found, fold in zip(predicted, folds, strict=True)]


def run(sample: Sample, scheme: Splitting, count: int, seed: int) -> tuple[list[list[float]], float]:
    """Return the values per fold of `count` runs with seeds drawn from `seed`, and the CPU time per run in seconds."""
    folds = replace(scheme, repeats=count * scheme.repeats, seed=seed).of(sample.labels)
    started = time.process_time()
    found = [fits(sample, folds[start : start + scheme.count]) for start in range(0, len(folds), scheme.count)]
    return found, (time.process_time() - started) / count


def measure(source: str, zoo: Path, images: int, count: int, store: Store) -> Found:
    """Score every model of a set by every scheme.

    One random test set is the first of five, and a run with two repeats is two runs with one, so no fit is computed twice.
    Their times are from a run of their own.
    """
    models, reference, sizes = [], [], (0, 0)
    values: dict[str, list[list[list[float]]]] = {FIVE: [], TWICE: []}
    seconds: dict[str, list[float]] = {name: [] for name in SCHEMES}
    for model, whole, sample in embeddings(source, zoo, images, store):
        models.append(model)
        sizes = len(whole.labels), len(sample.labels)
        for name, runs in {ONE: 1, FIVE: count, CROSS: 1, TWICE: count // 2}.items():
            found, took = run(sample, SCHEMES[name], runs, SEED)
            seconds[name].append(took)
            if name in values:
                values[name].append(found)
        reference.append(np.mean([run(whole, scheme, 1, REFERENCE_SEED)[0] for scheme in REFERENCE]))
    five, twice = np.array(values[FIVE]), np.array(values[TWICE])
    cut = {ONE: five[:, :, :1], FIVE: five, CROSS: twice.reshape(len(models), count, -1), TWICE: twice}
    return Found(
        *sizes, models, {name: Runs(cut[name], float(np.mean(seconds[name]))) for name in SCHEMES}, np.array(reference)
    )


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
        parser.error(f"--runs is {options.runs}; an even number from 4 on is needed, since two repeats are two runs with one.")
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
                "fold_values": {scheme: runs.fold_values.tolist() for scheme, runs in found.runs.items()},
            }
            for name, found in sets.items()
        },
    }
    output = options.output or options.store / "cross_fitting.json"
    output.write_text(json.dumps(written, indent=1), encoding="utf-8")
    print(f"all figures in {output}")


if __name__ == "__main__":
    main()
