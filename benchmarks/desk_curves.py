"""Record the learning curves of the desk benchmark: fine-tuning of every pair at every learning rate.

    python -m benchmarks.desk_curves record WORK --committed data/desk  # takes hours; what is recorded is not computed again
    python -m benchmarks.desk_curves record WORK --committed data/desk --protocols lora norm
    python -m benchmarks.desk_curves collect WORK data/desk

WORK is the folder that `benchmarks/desk.py prepare` wrote. A run is evaluated on the validation images at 16 marks, and on the
test images at five of them. The first seed is trained at each learning rate. With the protocol `full`, the second seed is
trained at the rate whose last mark is best. The protocols `lora` and `norm` are recorded for the models `mini_*`.
"""

import argparse
import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import polars as pl
import torch

from benchmarks.desk_accuracies import write_accuracies
from itm.core.errors import ItmError, ModelError
from itm.core.keys import content_key
from itm.core.params import Params
from itm.core.types import DataRef, ModelRef, Protocol
from itm.core.yaml_records import read_yaml
from itm.data.index import read_index
from itm.features.extractors import Extractor
from itm.finetuning.head import train_head
from itm.finetuning.identity import FINETUNER
from itm.finetuning.images import read_images
from itm.finetuning.steps import learning_rates
from itm.finetuning.training import Training
from itm.finetuning.trajectory import Trajectory
from itm.run.plan import plan
from itm.store.files import exists, read_json, read_table, write_table
from itm.store.layout import Store
from itm.store.records import RecordStore
from itm.zoo import load

log = logging.getLogger("itm.benchmarks.desk_curves")

MARKS = 16
TESTED = (1 / 8, 1 / 4, 1 / 2, 3 / 4, 1)  # shares of the steps
SEEDS = (0, 1)
MARK = ("step", "val_accuracy", "val_loss", "test_accuracy", "test_loss", "seconds")  # columns of a mark
PROTOCOLS: tuple[Protocol, ...] = ("full", "head", "lora", "norm")
SOME = ("lora", "norm")  # protocols that are only recorded for models with this prefix
PREFIX = "mini_"
SHORT = 12  # digits of a key that name a run in the table
CPU = torch.device("cpu")
RECORDS = RecordStore(None, version=1)

Values = dict[str, Any]
Known = Mapping[str, Values]  # runs by their short keys


class Pair:
    """The curves of one model on one data set. The model and the images are only loaded if a run is missing."""

    def __init__(self, model: ModelRef, data: DataRef, params: Params, store: Store, committed: Known) -> None:
        extractor = Extractor(model)
        own = params.finetune.model_copy(update={"evaluations": MARKS, "patience": MARKS})
        self.model, self.data, self.params, self.store, self.config = model, data, own, store, extractor.preprocessing
        recipe = own.model_dump(mode="json", exclude={"learning_rates", "seeds", "search_steps", "protocols", "keep_weights"})
        self.identity = {"finetuner": FINETUNER, "weights": extractor.weights, "data": data.hash, "recipe": recipe}
        self.committed = committed
        self._training: Training | None = None

    def record(self, protocol: Protocol) -> None:
        """Compute all runs of a protocol that are missing."""
        if protocol == "head":
            for seed in SEEDS:
                self._run("head", seed, 0.0)
            return
        training_images = len(read_index(self.data, self.store).filter(status="ok", split="train"))
        rates = learning_rates(self.params, training_images, len(self.data.target.names), protocol)
        first, *others = SEEDS if protocol == "full" else SEEDS[:1]
        runs = {rate: self._run(protocol, first, rate) for rate in rates}
        ends = {rate: found["marks"][-1] for rate, found in runs.items() if found["finite"]}
        for seed in others:
            if ends:
                self._run(protocol, seed, max(ends, key=lambda rate: (ends[rate]["val_accuracy"], -ends[rate]["val_loss"])))

    def _run(self, protocol: Protocol, seed: int, rate: float) -> Values:
        name = f"{protocol}-{seed}-{rate:g}"
        key = content_key(self.identity | {"run": name})
        if committed := self.committed.get(key[:SHORT]):
            return committed
        folder = self.store.root / "curves" / self.data.name / self.model.name
        found: Values | None = RECORDS.get(path := folder / f"{name}-{key[:SHORT]}.json", key)
        if found is None:
            marks, finite = self._head(seed) if protocol == "head" else self._trained(protocol, seed, rate)
            found = {"data": self.data.name, "data_hash": self.data.hash, "model": self.model.name}
            found |= {"weights": self.identity["weights"], "protocol": protocol, "seed": seed, "learning_rate": rate}
            splits = self.training.images.splits
            found |= {f"{split}_images": len(part) for split, part in splits.items()}
            found |= {"image_size": max(self.config["input_size"][-2:]), "finite": finite, "marks": marks}
            RECORDS.put(path, key, found)
        return found

    @property
    def training(self) -> Training:
        if self._training is None:
            images = read_images(read_index(self.data, self.store), self.data, self.config, CPU, self.store)
            title = f"{self.model.name} on {self.data.name}"
            self._training = Training(load.build(self.model), images, self.data.target, self.params, title)
        return self._training

    def _head(self, seed: int) -> tuple[list[Values], bool]:
        began = time.perf_counter()
        found = train_head(self.training.embedded, self.data.target, seed).evaluations
        return [_mark(0, found["val"], found["test"], time.perf_counter() - began)], True

    def _trained(self, protocol: Protocol, seed: int, rate: float) -> tuple[list[Values], bool]:
        training, steps = self.training, self.params.steps
        head = train_head(training.embedded_at_start, self.data.target, seed)
        run = Trajectory(training, head, rate, steps, MARKS, seed, protocol)
        tested, marks = {round(share * steps) for share in TESTED}, []
        for step in run.evaluated_at:
            run.advance(step)
            if not (run.position.finite and (mark := run.evaluate())):
                return marks, False
            marks.append(_mark(step, mark, training.evaluate("test") if step in tested else None, run.position.seconds))
        return marks, True


def _mark(step: int, val: Any, test: Any, seconds: float) -> Values:
    values = {"step": step, "val_accuracy": round(val.accuracy, 5), "val_loss": round(val.loss, 5)}
    tested = {"test_accuracy": round(test.accuracy, 5), "test_loss": round(test.loss, 5)} if test else {}
    return values | {"test_accuracy": None, "test_loss": None} | tested | {"seconds": round(seconds, 3)}


def _record(
    model: ModelRef, data: DataRef, params: Params, store: Store, protocols: Sequence[Protocol], committed: Known
) -> str:
    torch.set_num_threads(1)
    began, failed = time.monotonic(), ""
    try:
        pair = Pair(model, data, params, store, committed)
        for protocol in protocols:
            if protocol in SOME and not model.name.startswith(PREFIX):
                continue
            try:
                pair.record(protocol)
            except ModelError as error:  # such as lora for a model without linear layers
                failed += f", {protocol} failed: {error}"
    except ItmError as error:
        return f"{model.name} on {data.name}: failed: {error}"
    return f"{model.name} on {data.name}: {time.monotonic() - began:.0f} s{failed}"


def record(work: Path, workers: int, only: Sequence[str], protocols: Sequence[Protocol], committed: Path | None) -> None:
    """Record the curves of all pairs, or of those whose model or data set is among `only`, unless they are committed."""
    known = committed_runs(committed / "curves.parquet") if committed else {}
    params = read_yaml(work / "params.yaml", Params)
    store = Store(params.store)
    planned = plan(params, store)
    for failure in planned.failed_models + planned.failed_data:
        log.warning("%s", failure)
    pairs = [
        (model, data)
        for model, data in sorted(planned.pairs, key=lambda pair: pair[1].name)
        if not only or {model.name, data.name} & set(only)
    ]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        found = [pool.submit(_record, *pair, params, store, protocols, _of_pair(known, *pair)) for pair in pairs]
        for number, future in enumerate(as_completed(found), 1):
            log.info("%d of %d: %s", number, len(found), future.result())


def _of_pair(known: Known, model: ModelRef, data: DataRef) -> Known:
    return {key: run for key, run in known.items() if (run["model"], run["data"]) == (model.name, data.name)}


def committed_runs(path: Path) -> Known:
    """Return the runs of a table of curves by their short keys."""
    runs: dict[str, Values] = {}
    for row in read_table(path).iter_rows(named=True) if exists(path) else ():
        mark = {name: row.pop(name) for name in MARK}
        run = runs.setdefault(row.pop("key"), row | {"marks": []})
        if mark["step"] is not None:  # a run that diverged before its first mark has none
            run["marks"].append(mark)
    return runs


def collect(work: Path, output: Path) -> None:
    """Add the runs of a folder to curves.parquet, which has one row per mark, and write the accuracies that follow from it."""
    store, path = Store(read_yaml(work / "params.yaml", Params).store), output / "curves.parquet"
    runs = dict(committed_runs(path))
    for record in map(read_json, sorted((store.root / "curves").rglob("*.json"))):
        runs[record["key"][:SHORT]] = record["payload"]
    rows: list[Values] = []
    for key, run in runs.items():
        plain = {"key": key} | {name: value for name, value in run.items() if name != "marks"}
        rows += [plain | mark for mark in run["marks"] or [dict.fromkeys(MARK)]]
    order = ("data", "model", "protocol", "learning_rate", "seed", "step", "key")
    table = pl.DataFrame(rows, infer_schema_length=None).sort(order)
    write_table(path, table.select("key", *sorted(set(table.columns) - {"key", *MARK}), *MARK))
    ends = write_accuracies(table, output)
    print(f"{len(table)} marks of {table.n_unique(['data', 'model'])} pairs, {ends} accuracies: {path}")


def main() -> None:
    """Run one of the two steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    steps = parser.add_subparsers(dest="step", required=True)
    recording = steps.add_parser("record")
    recording.add_argument("work", type=Path)
    recording.add_argument("only", nargs="*", help="models and data sets")
    recording.add_argument("--workers", type=int, default=2)
    recording.add_argument("--protocols", nargs="+", choices=PROTOCOLS, default=["full", "head"])
    recording.add_argument("--committed", type=Path, help="folder with curves.parquet, whose runs are not recorded again")
    collecting = steps.add_parser("collect")
    collecting.add_argument("work", type=Path)
    collecting.add_argument("output", type=Path)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    if options.step == "record":
        record(options.work, options.workers, options.only, options.protocols, options.committed)
    else:
        collect(options.work, options.output)


if __name__ == "__main__":
    main()
