"""Measures the desk benchmark, by which `itm evaluate` judges scores. Hours on two cores; killed, it goes on where it was.

    python benchmarks/desk.py prepare FOLDER WORK       # the zoo and the parameters, as files in WORK
    itm finetune --params WORK/params.yaml              # ground truth, the long part
    itm rank --params WORK/params.yaml --allow-failures # every score of every pair
    python benchmarks/desk.py collect WORK data/desk    # the tables that are committed

FOLDER holds sets/, zoo.json, factories.py and checkpoints/. Only numbers are committed, none of its images and weights.
"""

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import polars as pl
import yaml
from real_zoo import entry

from itm.core.params import Params
from itm.core.types import Features
from itm.core.yaml_records import read_yaml
from itm.scores import evaluate
from itm.store.feature_file import read_description, read_embeddings
from itm.store.files import read_table, write_beside, write_table
from itm.store.layout import Store

LARGEST = 48  # pixels a side, as the mini pool: at their own 224, the fine-tuning would take weeks of two cores
MINI_ZOO = Path("data/zoo/zoo.yaml")
EMBEDDED_SETS = ("digits", "made:shapes", "made:textures")
SHUFFLE_SEED = 0
IMAGENET_TOP1 = {  # per cent, at the publishers' own input sizes: tensorflow/models slim README (Apache-2.0), and timm's table
    "mobilenetv1_025_128.in1k": 41.5,
    "mobilenetv1_050_160.in1k": 59.1,
    "mobilenetv1_100_224.in1k": 70.9,
    "mobilenetv2_100_224.in1k": 71.8,
    "mobilenetv3_small_100_224.in1k": 67.9,
}


def prepare(folder: Path, work: Path) -> None:
    """Write zoo.yaml, the mini pool beside the real checkpoints at `LARGEST` pixels at most, and params.yaml."""
    embedded = yaml.safe_load(MINI_ZOO.read_text(encoding="utf-8"))["models"]
    mini = [one | {"checkpoint": str(MINI_ZOO.parent.resolve() / one["checkpoint"])} for one in embedded]
    real = [entry(stem, facts, folder) for stem, facts in json.loads((folder / "zoo.json").read_text("utf-8")).items()]
    real = [one | {"input_size": min(one["input_size"], LARGEST)} for one in real]
    pool = [one["name"] for one in mini if one["name"].startswith("mini_")] + [one["name"] for one in real]
    sets = sorted(path.name for path in (folder / "sets").iterdir() if path.is_dir())
    params = {
        "data": {
            "sets": [*EMBEDDED_SETS, *(f"{name}=folder:{folder / 'sets' / name}" for name in sets)],
            "max_images": 1200,
            "splits": {"train": 0.5, "val": 0.15, "test": 0.35},
        },
        "zoo": {"file": str(work / "zoo.yaml"), "models": pool, "code": [str(folder / "factories.py")]},
        "extract": {"decode_workers": 0},
        "score": {"names": ["*"], "rank_by": "itm"},
        "finetune": {"learning_rates": [5e-5, 5e-4, 5e-3], "steps": 80, "search_steps": 40, "evaluations": 4, "seeds": 2},
        "runner": {"kind": "processes", "workers": 2},
        "track": {"uri": None},
        "store": str(work / "store"),
    }
    work.mkdir(parents=True, exist_ok=True)
    for name, values in {"zoo.yaml": {"models": mini + real}, "params.yaml": params}.items():
        (work / name).write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    print(f"{len(pool)} models, {len(params['data']['sets'])} data sets: {work / 'params.yaml'}")


def collect(work: Path, output: Path) -> None:
    """Write accuracies.csv, scores.parquet and models.csv from what the two commands left in the store."""
    params = read_yaml(work / "params.yaml", Params)
    store = Store(params.store)
    runs = read_table(store.finetuned).filter(status="ok")
    embedded = [one for one in _features(store, params) if one.data in set(runs["data"])]
    kept = (
        "data",
        "model",
        "protocol",
        "seed",
        "learning_rate",
        "best_step",
        "val_accuracy",
        "test_accuracy",
        "test_loss",
        "seconds",
    )
    counts = ("image_size", "train_images", "val_images", "test_images", "weights", "data_hash")
    rounded = [pl.col(name).round(5) for name in ("val_accuracy", "test_accuracy", "test_loss")]
    accuracies = runs.select(kept + counts).with_columns(rounded).sort("data", "model", "protocol", "seed")
    scores = (
        read_table(store.scores).filter(pl.col("draw").is_null()).select("data", "model", "score", "value", "status", "reason")
    )
    table = pl.concat([scores, _shuffled(embedded)]).sort("data", "model", "score")
    output.mkdir(parents=True, exist_ok=True)
    write_beside(output / "accuracies.csv", accuracies.write_csv)
    write_beside(output / "models.csv", _models(embedded).write_csv)
    write_table(output / "scores.parquet", table)
    print(f"{len(accuracies)} runs, {len(table)} scores, {len(embedded)} pairs: {output}")


def _features(store: Store, params: Params) -> list[Features]:
    files = sorted((store.root / "cache" / "features").rglob("*.parquet"))
    found = [read_description(path) for path in files]
    return [one for one, identity in found if identity["splits"] == sorted(params.score.splits)]


def _shuffled(embedded: list[Features]) -> pl.DataFrame:
    """Return ITM of every pair with its labels dealt out anew: what is left when there is nothing to find."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as workers:
        values = list(workers.map(_itm_of_shuffled, [one.path for one in embedded]))
    names = {"data": [one.data for one in embedded], "model": [one.model for one in embedded], "value": values}
    return pl.DataFrame(names).select(
        "data",
        "model",
        pl.lit("itm_shuffled").alias("score"),
        "value",
        pl.lit("ok").alias("status"),
        pl.lit(None, pl.String).alias("reason"),
    )


def _itm_of_shuffled(path: Path) -> float:
    embeddings, labels, ids = read_embeddings(path)
    return evaluate("itm", embeddings, np.random.default_rng(SHUFFLE_SEED).permutation(labels), ids=ids).value


def _models(embedded: list[Features]) -> pl.DataFrame:
    rows = {}
    for one in embedded:
        facts = one.facts
        rows[one.model] = {
            "model": one.model,
            "pool": "mini" if one.model.startswith("mini_") else "real",
            "pretraining": facts.pretraining,
            "parameters": facts.parameters,
            "gmacs": facts.gmacs,
            "imagenet_top1": IMAGENET_TOP1.get(one.model),
            "width": facts.width,
            "input_size": facts.input_size,
            "weights": one.weights,
        }
    return pl.DataFrame(list(rows.values())).sort("pool", "model")


def main() -> None:
    """Run one of the two steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    steps = parser.add_subparsers(dest="step", required=True)
    for name, first in (("prepare", "folder"), ("collect", "work")):
        step = steps.add_parser(name)
        step.add_argument(first, type=Path)
        step.add_argument("output", type=Path)
    options = parser.parse_args()
    if options.step == "prepare":
        prepare(options.folder.resolve(), options.output.resolve())
    else:
        collect(options.work, options.output)


if __name__ == "__main__":
    main()
