"""Measure the desk benchmark of `itm evaluate`. It takes hours on two cores. An interrupted run resumes.

    python benchmarks/desk.py prepare FOLDER WORK       # the zoo and the parameters, as files in WORK
    python -m benchmarks.desk_curves record WORK --committed data/desk  # ground truth, the slow part
    python -m benchmarks.desk_curves collect WORK data/desk             # learning curves and accuracies
    itm rank --params WORK/params.yaml --allow-failures                 # all scores of all pairs
    python benchmarks/desk.py collect WORK data/desk                    # scores, and facts of the models

FOLDER contains sets/, zoo.json, factories.py and checkpoints/. Only the tables are committed, not the images and weights.
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
from itm.ranking.pooled import combined
from itm.scores import evaluate, expand, weights_of
from itm.store.feature_file import read_description, read_embeddings
from itm.store.files import read_table, write_atomically, write_table
from itm.store.layout import Store

COLUMNS = ("data", "model", "score", "value", "status", "reason")  # of scores.parquet
NO_REASON = pl.lit(None, pl.String)
MAX_SIZE = 48  # pixels per side, as in the mini pool; with 224, fine-tuning would take weeks on two cores
MINI_ZOO = Path("data/zoo/zoo.yaml")
EMBEDDED_SETS = ("digits", "synthetic:shapes", "synthetic:textures")
SHUFFLE_SEED = 0
IMAGENET_TOP1 = {  # percent, at the published input sizes: README of tensorflow/models slim (Apache-2.0), and timm's table
    "mobilenetv1_025_128.in1k": 41.5,
    "mobilenetv1_050_160.in1k": 59.1,
    "mobilenetv1_100_224.in1k": 70.9,
    "mobilenetv2_100_224.in1k": 71.8,
    "mobilenetv3_small_100_224.in1k": 67.9,
}


def prepare(folder: Path, work: Path) -> None:
    """Write params.yaml, and zoo.yaml with the mini pool and the real checkpoints at up to `MAX_SIZE` pixels."""
    entries = yaml.safe_load(MINI_ZOO.read_text(encoding="utf-8"))["models"]
    mini = [own | {"checkpoint": str(MINI_ZOO.parent.resolve() / own["checkpoint"])} for own in entries]
    real = [entry(stem, facts, folder) for stem, facts in json.loads((folder / "zoo.json").read_text("utf-8")).items()]
    real = [own | {"input_size": min(own["input_size"], MAX_SIZE)} for own in real]
    pool = [own["name"] for own in mini if own["name"].startswith("mini_")] + [own["name"] for own in real]
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
        "finetune": {
            "learning_rates": [5e-5, 5e-4, 5e-3],
            "steps": 80,
            "search_steps": 40,
            "evaluations": 4,
            "seeds": 2,
            "keep_weights": False,
        },
        "runner": {"kind": "processes", "workers": 2},
        "track": {"uri": None},
        "store": str(work / "store"),
    }
    work.mkdir(parents=True, exist_ok=True)
    for name, values in {"zoo.yaml": {"models": mini + real}, "params.yaml": params}.items():
        (work / name).write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    print(f"{len(pool)} models, {len(params['data']['sets'])} data sets: {work / 'params.yaml'}")


def collect(work: Path, output: Path) -> None:
    """Write scores.parquet and models.csv from the results in the store. Pairs that are not there keep what is committed."""
    params = read_yaml(work / "params.yaml", Params)
    store = Store(params.store)
    found = (
        read_table(store.scores).filter(pl.col("fold").is_null(), pl.col("score").is_not_null(), status="ok").select(COLUMNS)
    )
    pairs = set(found.select("data", "model").iter_rows())
    features = [own for own in _features(store, params) if (own.data, own.model) in pairs]
    scores = _merged(pl.concat([found, _shuffled_scores(features)]), output / "scores.parquet", ["data", "model"])
    models = _merged(_models(features), output / "models.csv", ["model"])
    output.mkdir(parents=True, exist_ok=True)
    write_table(output / "scores.parquet", _with_combined(scores).sort("data", "model", "score"))
    write_atomically(output / "models.csv", models.sort("pool", "model").write_csv)
    print(f"{len(scores)} scores, {len(models)} models: {output}")


def _merged(new: pl.DataFrame, path: Path, key: list[str]) -> pl.DataFrame:
    """Return new rows, and those of a committed table whose key they do not have."""
    if not path.exists():
        return new
    before = pl.read_csv(path, infer_schema_length=None) if path.suffix == ".csv" else read_table(path)
    return pl.concat([new, before.join(new, on=key, how="anti").select(new.columns)], how="vertical_relaxed")


def _with_combined(scores: pl.DataFrame) -> pl.DataFrame:
    """Return scores with the combined ones computed again: they depend on all models of a data set."""
    names = [name for name in expand(["*"]) if weights_of(name)]
    parts = [scores.filter(~pl.col("score").is_in(names))]
    for name in names:
        for (data,), own in parts[0].filter(pl.col("score").is_in(weights_of(name))).group_by("data"):
            terms = own.pivot("score", index="model", values="value").drop_nulls().sort("model")
            numbers = {term: terms[term].to_numpy()[:, None] for term in weights_of(name)}
            values = combined(numbers, weights_of(name))[:, 0]
            row = pl.DataFrame({"model": terms["model"], "value": values}).with_columns(
                pl.lit(data).alias("data"), pl.lit(name).alias("score"), pl.lit("ok").alias("status"), reason=NO_REASON
            )
            parts.append(row.select(COLUMNS))
    return pl.concat(parts)


def _features(store: Store, params: Params) -> list[Features]:
    files = sorted((store.root / "cache" / "features").rglob("*.parquet"))
    descriptions = [read_description(path) for path in files]
    return [own for own, identity in descriptions if identity["splits"] == sorted(params.score.splits)]


def _shuffled_scores(features: list[Features]) -> pl.DataFrame:
    """Return ITM of every pair with shuffled labels, as a control."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as workers:
        values = list(workers.map(_shuffled_itm, [own.path for own in features]))
    names = {"data": [own.data for own in features], "model": [own.model for own in features], "value": values}
    return pl.DataFrame(names).select(
        "data",
        "model",
        pl.lit("itm_shuffled").alias("score"),
        "value",
        pl.lit("ok").alias("status"),
        reason=NO_REASON,
    )


def _shuffled_itm(path: Path) -> float:
    embeddings, labels, ids = read_embeddings(path)
    return evaluate("itm", embeddings, np.random.default_rng(SHUFFLE_SEED).permutation(labels), ids=ids).value


def _models(features: list[Features]) -> pl.DataFrame:
    rows = {}
    for own in features:
        facts = own.facts
        rows[own.model] = {
            "model": own.model,
            "pool": "mini" if own.model.startswith("mini_") else "real",
            "pretraining": facts.pretraining,
            "parameters": facts.parameters,
            "gmacs": facts.gmacs,
            "batch_norm": facts.batch_norm,
            "imagenet_top1": IMAGENET_TOP1.get(own.model),
            "width": facts.width,
            "input_size": facts.input_size,
            "weights": own.weights,
        }
    return pl.DataFrame(list(rows.values()))


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
