"""Measure the cost of a nightly refresh: `python benchmarks/refresh.py FOLDER`. An hour at first, 20 minutes after that.

The zoo has 300 small checkpoints with different weights, and there are 20 synthetic data sets. Their embeddings are simulated
(class means plus noise) and written to the cache, and their scores are computed once. FOLDER keeps all files, about 2 GB.

Each measurement runs in its own process with one thread: an empty Prefect flow, a refresh without changes, a refresh with one
new model, and the same work without cache with one and two workers. New models have the size of a ResNet-18. DVC is not
included, because the store is in no project. The last line is JSON.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil  # type: ignore[import-untyped]
import torch
import yaml
from safetensors.torch import save_file

from itm.core.params import Params
from itm.core.types import DataRef, Facts, Failure, Features, ModelRef
from itm.core.yaml_records import read_yaml
from itm.data.index import read_index
from itm.features.devices import device
from itm.features.extractors import Extractor
from itm.kinds import get_kind
from itm.ranking.scoring import score
from itm.refresh.history import read_history
from itm.run.plan import find_cached, plan
from itm.run.stages import pair_key
from itm.store.feature_file import write_features
from itm.store.layout import Store, file_name
from itm.zoo import facts as zoo_facts
from itm.zoo.construct import build_without_weights

MODELS, DATA_SETS, IMAGES = 300, 20, 300
COLD_MODELS, COLD_DATA_SETS, COLD_IMAGES = 6, 4, 400
SMALL, LARGE = ("test_resnet", 48), ("resnet18", 224)  # architecture and pixels per side
GIB = 2**30
EMPTY_FLOW = "import flows\nfrom prefect import flow\nflow(lambda: None, name='empty')()"


@dataclass(frozen=True)
class Run:
    """Cost of a process: wall-clock seconds, its peak memory, and the peak memory with its child processes (shared once)."""

    seconds: float
    peak_gib: float
    tree_gib: float


def main() -> None:
    """Create missing files in the folder, measure, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder.resolve()
    checkpoints = folder / "checkpoints"
    small = [_checkpoint(checkpoints, SMALL, seed) for seed in range(MODELS)]
    large = [_checkpoint(checkpoints, LARGE, seed) for seed in range(COLD_MODELS)]
    data_sets = _sources(DATA_SETS, IMAGES)
    warm = _params(folder / "warm", small, data_sets, workers=1, kind="threads")
    _fill_cache(read_yaml(warm, Params))
    print(f"load of the machine before: {os.getloadavg()[0]:.1f}", flush=True)

    empty = [_measure(folder, sys.executable, "-c", EMPTY_FLOW) for _ in range(3)]
    first = _run_refresh(folder, warm)  # logs all models to MLflow, and is compared with the next ones
    nothing_new = [_run_refresh(folder, warm) for _ in range(2)]
    store = Store(read_yaml(warm, Params).store)
    print("nothing new, seconds per step:", read_history(store, 1)[0].steps)
    _remove_from_cache(store, large[0]["name"])
    more = _params(folder / "warm", [*small, large[0]], data_sets, workers=1, kind="threads")
    one_new = _run_refresh(folder, more)
    done = read_history(store, 1)[0]
    print("one new model, seconds per step:", done.steps)
    assert (done.work.extracted, done.work.scored) == (DATA_SETS, 2 * DATA_SETS), done.work
    own_cost = done.work.extract_seconds + done.work.score_seconds
    cold = {workers: _run_refresh(folder, _cold(folder, large, workers)) for workers in (1, 2)}

    runs = {"empty flow": _best(empty), "first refresh": first, "nothing new": _best(nothing_new), "one new model": one_new}
    for name, run in (runs | {f"cold, {workers} worker(s)": run for workers, run in cold.items()}).items():
        print(f"{name:<18} {run.seconds:7.1f} s  {run.peak_gib:5.2f} GiB  {run.tree_gib:5.2f} GiB with child processes")
    print(f"extraction and scoring of the new model: {own_cost:.1f} s")
    noop, over = runs["nothing new"].seconds, one_new.seconds - runs["nothing new"].seconds
    figures = {
        "noop_seconds": noop,
        "empty_flow_seconds": runs["empty flow"].seconds,
        "one_new_model_over_its_own_cost": over / own_cost,
        "peak_gib": max(run.peak_gib for run in (first, *nothing_new, one_new)),
        "two_workers_speedup": cold[1].seconds / cold[2].seconds,
    }
    print(json.dumps({name: round(figure, 3) for name, figure in figures.items()}))


def _checkpoint(folder: Path, size: tuple[str, int], seed: int) -> dict[str, Any]:
    """Write random weights of a model unless they exist, and return its entry of the zoo file."""
    architecture, pixels = size
    name = f"{architecture}.drawn_{seed:03d}"
    path = folder / f"{name}.safetensors"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(seed)
        state = build_without_weights(ModelRef(name, architecture, arguments={"num_classes": 10})).state_dict()
        save_file({key: value.contiguous() for key, value in state.items()}, path)
    entry = {"name": name, "architecture": architecture, "arguments": {"num_classes": 10}, "checkpoint": str(path)}
    return entry | {"input_size": pixels, "crop": 1.0, "pretraining": f"none, drawn with seed {seed}"}


def _sources(data_sets: int, images: int) -> list[str]:
    """Return the sources of synthetic data sets with different seeds."""
    return [f"synthetic:shapes?images={images}&seed={seed}" for seed in range(data_sets)]


def _params(folder: Path, models: Sequence[dict[str, Any]], data_sets: Sequence[str], workers: int, kind: str) -> Path:
    """Write a zoo file and parameters to a folder. Return the path of the parameters."""
    values = {
        "data": {"sets": [*data_sets]},
        "zoo": {"file": str(folder / "zoo.yaml")},
        "extract": {"device": "cpu", "decode_workers": 0},
        "score": {"names": ["itm", "knn"]},
        "runner": {"kind": kind, "workers": workers},
        "store": str(folder / "store"),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "zoo.yaml").write_text(yaml.safe_dump({"models": [*models]}), encoding="utf-8")
    (folder / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    return folder / "params.yaml"


def _cold(folder: Path, models: Sequence[dict[str, Any]], workers: int) -> Path:
    """Return parameters with an empty cache."""
    own = folder / f"cold_{workers}"
    shutil.rmtree(own, ignore_errors=True)
    return _params(own, models, _sources(COLD_DATA_SETS, COLD_IMAGES), workers, kind="processes")


def _fill_cache(params: Params) -> None:
    """Write missing simulated embeddings to the cache, and compute missing scores."""
    store = Store(params.store)
    planned = plan(params, store)
    cached = find_cached(planned, params, store)
    missing = [pair for pair in planned.pairs if cached[pair_key(*pair)][0] < len(planned.stages)]
    print(f"{len(cached) - len(missing)} pairs in the cache, {len(missing)} missing", flush=True)
    facts = _facts(planned.models[0])
    extractors = {model.name: Extractor(model) for model, _ in missing}
    features = [_simulated(extractors[model.name], data, facts, params, store) for model, data in missing]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as workers:
        for failures in workers.map(partial(_score, params=params, store=store), features, chunksize=50):
            assert not failures, failures


def _facts(model: ModelRef) -> Facts:
    module = zoo_facts.build_on_meta(model)
    return zoo_facts.facts(model, module, zoo_facts.preprocessing(model, module))


def _simulated(extractor: Extractor, data: DataRef, facts: Facts, params: Params, store: Store) -> Features:
    """Write a feature file unless it exists. Models differ in the distance of their class means."""
    identity = extractor.identity(data, params.score.splits, params.extract, device(params.extract.device))
    model, weights, key, kind = identity.model, identity.weights, identity.key, data.target.kind
    path, rows = store.features(data.name, model, key), _rows(data, params, store)
    features = Features(path, key, model, weights, data.name, data.hash, kind, len(rows), facts, 400.0, cached=True)
    if not path.exists():
        generator = np.random.default_rng(int(key[:8], 16))
        means = generator.normal(size=(len(data.target.names), facts.width)) * generator.uniform(0.1, 0.8)
        labels = get_kind(kind).encode(rows["target"].to_list(), data.target)
        embeddings = (means[labels] + generator.normal(size=(len(rows), facts.width))).astype(np.float32)
        ids, groups, splits = (rows[column].to_list() for column in ("id", "group", "split"))
        write_features(features, ids, groups, labels, splits, {"embedding": embeddings}, asdict(identity))
    return features


def _rows(data: DataRef, params: Params, store: Store) -> pl.DataFrame:
    return read_index(data, store).filter((pl.col("status") == "ok") & pl.col("split").is_in(list(params.score.splits)))


def _score(features: Features, params: Params, store: Store) -> tuple[Failure, ...]:
    return score(features, params.score, store)[1]


def _remove_from_cache(store: Store, model: str) -> None:
    """Delete embeddings and scores of a model from earlier runs of this benchmark."""
    for path in (store.root / "cache" / "features").glob(f"*/{file_name(model)}-*"):
        path.unlink()
    for path in (store.root / "cache" / "scores").glob(f"*/{file_name(model)}"):
        shutil.rmtree(path)


def _run_refresh(folder: Path, params: Path) -> Run:
    return _measure(folder, str(Path(sys.executable).with_name("itm")), "refresh", "--log", "--params", str(params))


def _measure(folder: Path, *command: str) -> Run:
    """Run a command with one thread and its own Prefect home, and return its cost."""
    changes = {"OMP_NUM_THREADS": "1", "PREFECT_HOME": str(folder / "prefect")}
    kept = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    began = time.monotonic()
    process = subprocess.Popen(command, env=kept | changes, stdout=subprocess.DEVNULL, start_new_session=True)
    with ThreadPoolExecutor(1) as watchers:
        sizes = watchers.submit(lambda: list(_sizes(process)))
        status = process.wait()
        seconds = time.monotonic() - began
    if status:
        raise SystemExit(f"{' '.join(command)} ended with status {status}")
    own, tree = np.max(sizes.result(), axis=0) / GIB
    return Run(seconds, own, tree)


def _sizes(process: subprocess.Popen[bytes]) -> Iterator[tuple[int, int]]:
    """Yield the memory of a process, and of the process with its children (shared memory once), until it ends."""
    root, tree, counted = psutil.Process(process.pid), 0, 0.0
    while process.returncode is None:
        with suppress(psutil.Error):  # a process has just ended
            if time.monotonic() > counted + 3:  # counting shared memory is slow and would disturb the measurement
                tree = sum(each.memory_full_info().pss for each in (root, *root.children(recursive=True)))
                counted = time.monotonic()
            yield root.memory_info().rss, tree
        time.sleep(0.1)


def _best(runs: Sequence[Run]) -> Run:
    return min(runs, key=lambda run: run.seconds)


if __name__ == "__main__":
    main()
