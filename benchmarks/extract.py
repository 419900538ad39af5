"""Measure extraction against its bound: `python -m benchmarks.extract FOLDER`. Half an hour on two cores.

The bound of one model is the time to decode all images and the time of the bare forward passes, each on all cores and with
nothing around it: their sum, since both need the same cores. Models have random weights and see 600 photographs at 224 pixels.
`growth` is the peak of memory by number of images, in a process that extracts and does not ingest. The last line is JSON.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from benchmarks.extract_inputs import SMALL, checkpoint, photographs, project, small_images
from benchmarks.ingest import ingest_peak_gib
from benchmarks.model_speed import ratios
from itm.core.params import Params
from itm.core.types import ModelRef
from itm.core.yaml_records import read_yaml
from itm.run.engine import execute
from itm.run.executors import executor
from itm.run.plan import Plan, plan
from itm.run.stages import EXTRACT, ExtractStage, Job
from itm.store.layout import Store
from itm.zoo.facts import create_transform, preprocessing_without_weights
from itm.zoo.load import build
from itm.zoo.resolve import resolve

IMAGES, PIXELS, BATCH, ROUNDS = 600, 224, 16, 3
SPEEDS = {"fast": "mobilenetv3_small_100", "middle": "mobilenetv3_large_100", "slow": "resnet18"}
EIGHT = SPEEDS["fast"]  # decoding is a third of its work
CACHED_MODELS, CALLS = 20, 5
GROWTH = 2_000, 20_000, 100_000
INGEST = "from benchmarks.extract import planned; planned({path!r})"
EXTRACTION = "from benchmarks.extract import seconds; seconds({path!r}, offline=True)"
MIB = 2**20


def main() -> None:
    """Make the inputs, measure, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--million", action="store_true", help="also ingest a million images, which takes half an hour")
    options = parser.parse_args()
    folder: Path = options.folder.resolve()
    images = photographs(folder / "photographs", IMAGES)
    print(f"load of the machine before: {os.getloadavg()[0]:.1f}", flush=True)
    figures: dict[str, Any] = {"one_model_over_bound": _one_model(folder, images)}
    figures |= _eight_models(folder, images)
    figures["speed_over_loop"] = ratios()
    figures |= _cached(folder, images)
    figures["million_ingest_gib"] = ingest_peak_gib(folder, 1_000_000) if options.million else None
    figures["growth"] = _growth(folder)
    print(json.dumps(figures))


class EachAlone(ExtractStage):
    """The extraction in which each model reads the images for itself."""

    def for_run(self, jobs: Sequence[Job], params: Params, store: Store) -> ExtractStage:  # noqa: ARG002
        """Return this stage: no pass is shared."""
        return self


def planned(parameters: Path | str, offline: bool = False) -> tuple[Plan, Params]:
    """Ingest the images of a project, or with `offline` take their index, and resolve its models."""
    params = read_yaml(Path(parameters), Params)
    return plan(params, Store(params.store), offline).through(EXTRACT), params


def seconds(parameters: Path | str, stage: ExtractStage = EXTRACT, offline: bool = False, **extraction: object) -> float:
    """Return how long the extraction of all models of a project takes, without anything cached; the images are ingested."""
    pairs, params = planned(parameters, offline)
    pairs = pairs.through(stage)
    params = params.model_copy(update={"extract": params.extract.model_copy(update=extraction)})
    store = Store(params.store)
    for folder in (store.root / "cache" / "features", store.decoded):
        shutil.rmtree(folder, ignore_errors=True)
    began = time.perf_counter()
    outcomes = execute(pairs, executor(params.runner), store, params)
    found = time.perf_counter() - began
    assert not any(outcome.failures for outcome in outcomes), outcomes
    return found


def decode_seconds(images: Path, model: ModelRef) -> float:
    """Return how long threads on all cores need to decode, resize and crop all images."""
    transform = create_transform(preprocessing_without_weights(model) | {"normalize": False})
    paths = sorted(images.rglob("*.jpg"))
    began = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(lambda path: transform(Image.open(path).convert("RGB")), paths):
            pass
    return time.perf_counter() - began


def forward_seconds(model: ModelRef, count: int) -> float:
    """Return how long the forward passes of so many images take on all cores."""
    module: Any = build(model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    torch.set_num_threads(os.cpu_count() or 1)
    inputs = torch.randn(BATCH, 3, PIXELS, PIXELS).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        module(inputs)
        began = time.perf_counter()
        for _ in range(count // BATCH):
            module(inputs)
    return (time.perf_counter() - began) * count / (count // BATCH * BATCH)


def _interleaved(*measurements: Callable[[], float]) -> list[float]:
    """Return the best of several rounds of each; rounds alternate, since the machine may become slower or faster."""
    rounds = [[measure() for measure in measurements] for _ in range(ROUNDS)]
    return [min(values) for values in zip(*rounds, strict=True)]


def _one_model(folder: Path, images: Path) -> dict[str, float]:
    found = {}
    for name, architecture in SPEEDS.items():
        entry = checkpoint(folder / "checkpoints", architecture, 0, PIXELS)
        parameters = project(folder / name, images, [entry])
        model = _models(parameters)[0]
        decoding, forward, ours = _interleaved(
            lambda model=model: decode_seconds(images, model),
            lambda model=model: forward_seconds(model, IMAGES),
            lambda parameters=parameters: seconds(parameters),
        )
        found[name] = round(ours / (decoding + forward), 3)
        print(f"{architecture}: decoding {decoding:.2f} s, forward {forward:.2f} s, extraction {ours:.2f} s", flush=True)
    return found


def _eight_models(folder: Path, images: Path) -> dict[str, float]:
    entries = [checkpoint(folder / "checkpoints", EIGHT, seed, PIXELS) for seed in range(8)]
    parameters = project(folder / "eight", images, entries)
    model = _models(parameters)[0]
    decoding, forward, ours, shared, each = _interleaved(
        lambda: decode_seconds(images, model),
        lambda: forward_seconds(model, IMAGES),
        lambda: seconds(parameters),
        lambda: seconds(parameters, decoded="off"),
        lambda: seconds(parameters, EachAlone(), decoded="off"),
    )
    share, others = decoding / (decoding + forward), f"{shared:.2f} s in shared passes, {each:.2f} s where each decodes"
    print(f"eight models: decoding {share:.0%} of the work of one; {ours:.2f} s, {others}", flush=True)
    bound = decoding + 8 * forward
    return {
        "eight_models_over_bound": round(ours / bound, 3),
        "eight_models_in_shared_passes_over_bound": round(shared / bound, 3),
        "eight_models_over_today": round(each / ours, 3),
    }


def _cached(folder: Path, images: Path) -> dict[str, float]:
    entries = [checkpoint(folder / "checkpoints", "test_resnet", seed, PIXELS) for seed in range(CACHED_MODELS)]
    own = project(folder / "cached", images, entries, data={"sets": [f"images={images}"], "max_images": 120}).parent
    itm = str(Path(sys.executable).with_name("itm"))
    for _ in range(2):
        _wall(own, itm, "rank", "--quiet")
    figures = {
        "cached_rank_seconds": min(_wall(own, itm, "rank") for _ in range(CALLS)),
        "show_seconds": min(_wall(own, itm, "show") for _ in range(CALLS)),
        "python_import_seconds": min(
            _wall(own, sys.executable, "-c", "import polars, pyarrow.parquet, pydantic, rich.console, typer")
            for _ in range(CALLS)
        ),
    }
    return {name: round(value, 2) for name, value in figures.items()}


def _growth(folder: Path) -> dict[str, float]:
    """Return the peak of private memory by number of images. Mapped files do not count: the system takes their pages back."""
    found = {}
    for count in GROWTH:
        images = small_images(folder / f"small{count}", count)
        entry = checkpoint(folder / "checkpoints", "test_resnet", 0, SMALL)
        parameters = project(folder / f"growth{count}", images, [entry])
        _peak(INGEST.format(path=str(parameters)))
        found[str(count)] = round(_peak(EXTRACTION.format(path=str(parameters))) / MIB)
    return found


def _models(parameters: Path) -> list[ModelRef]:
    return resolve(read_yaml(parameters, Params).zoo)[0]


def _wall(folder: Path, *command: str) -> float:
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - began


def _peak(code: str) -> int:
    """Run code in a process of its own, and return the most private memory that it had, in bytes."""
    process, most = subprocess.Popen([sys.executable, "-c", code]), [0]

    def watch() -> None:
        while process.poll() is None:
            with open(f"/proc/{process.pid}/status", encoding="utf-8") as stream:  # noqa: PTH123
                private = [int(line.split()[1]) for line in stream if line.startswith("RssAnon")]
            most[0] = max(most[0], *private, 0)
            time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{code} ended with status {process.returncode}")
    return most[0] * 1024


if __name__ == "__main__":
    main()
