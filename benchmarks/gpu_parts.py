"""The parts of `benchmarks/gpu.py`. Run as a program, this is the process that computes them, see `benchmarks/gpu_watch.py`.

A part is a generator of figures, each a name and a value. What it found before it fails is kept.
"""

import argparse
import gc
import json
import os
import re
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks.dva import together
from benchmarks.gpu_extraction import Sizes, extraction
from benchmarks.gpu_inputs import copies, peak_gib, random_model, tinted
from itm.core.params import Params
from itm.core.sections import DataParams, FinetuneParams
from itm.data.index import read_index
from itm.data.ingest import ingest
from itm.features.devices import device, leased
from itm.finetuning.head import train_head
from itm.finetuning.images import read_images
from itm.finetuning.training import Training
from itm.finetuning.trajectory import Trajectory
from itm.run.engine import execute
from itm.run.executors import executor
from itm.run.plan import plan
from itm.store.layout import Store
from itm.zoo import facts
from itm.zoo.load import build

ROOT = Path(__file__).resolve().parents[1]
Figures = Iterator[tuple[str, Any]]
HALF_A_POINT = 0.5
ACCURACIES = "itm", "knn", "linear_probe"  # these scores are shares of images; one percent is a point
MARKER = "mark.gpu"
COUNTS = re.compile(r"(\d+) (passed|failed|skipped|error)")


def tests() -> Figures:
    """Run the tests that need a GPU."""
    files = [str(path) for path in sorted((ROOT / "tests").rglob("test_*.py")) if MARKER in path.read_text(encoding="utf-8")]
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-p", "no:cacheprovider", "-q", "-rf", "--tb=short", *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr, file=sys.stderr)
    last = (done.stdout.strip().splitlines() or [done.stderr.strip()])[-1]
    found = {what: int(count) for count, what in COUNTS.findall(last)}
    if not found:
        raise RuntimeError(f"pytest ended with status {done.returncode}: {last}")
    for what in ("passed", "failed", "skipped", "error"):
        yield what, found.get(what, 0)


def equality(folder: Path, where: str, small: bool) -> Figures:
    """Compare the scores of embeddings and ITM in bf16 on the device with those in fp32 on the CPU.

    The models are trained ones of the embedded zoo: random weights tell classes apart by chance.
    """
    images = tinted(folder / "tinted", 60 if small else 600)
    names = ["test_resnet.drawn_long"]
    if not small:
        names = ["mini_resnet18.supervised", "mini_vit_tiny_patch16_224.dino", "mini_convnext_atto.supervised"]
    most = 0.0
    for name in names:
        on_cpu, on_device = (
            _scores(folder / "equality", images, name, {"device": one, "precision": precision})
            for one, precision in (("cpu", "fp32"), (where, "bf16"))
        )
        points = round(max(100 * abs(on_cpu[score] - on_device[score]) for score in ACCURACIES), 3)
        most = max(most, points)
        pairs = {score: [round(value, 5), round(on_device[score], 5)] for score, value in on_cpu.items()}
        yield name, {"points": points, "cpu_fp32_and_device_bf16": pairs}
    yield "largest_points", most
    yield "within_half_a_point", most <= HALF_A_POINT


def _scores(folder: Path, images: Path, model: str, computed: dict[str, str]) -> dict[str, float]:
    values = {
        "data": {"sets": [f"tinted={images}"]},
        "zoo": {"models": [model]},
        "extract": computed,
        "score": {"splits": ["train", "val", "test"]},
        "runner": {"kind": "inline"},
        "store": folder / f"{computed['device']}-{computed['precision']}",
    }
    params = Params.model_validate(values)
    store = Store(params.store)
    (outcome,) = execute(plan(params, store), executor(params.runner), store, params)
    if outcome.failures:
        raise RuntimeError(f"{model}: {outcome.failures[0].reason}")
    return {score.score: score.value for score in outcome.scores}


def itm_together(where: str, small: bool) -> Figures:
    """Score 64 models of one data set at once, as `runner.together` does, and one after another."""
    count, rows, width, classes = (2, 200, 16, 4) if small else (64, 5_000, 768, 37)
    yield "shape", {"models": count, "rows": rows, "width": width, "classes": classes}
    for name, value in together(where, count, rows, width, classes).items():
        yield name, round(value, 3)


def finetune(folder: Path, where: str, small: bool) -> Figures:
    """Measure the steps of full fine-tuning. The first steps, which load the kernels of the device, are not timed."""
    images = copies(folder / "photographs", 12, 48) if small else copies(folder / "photographs", 512, 4096)
    store = Store(folder / "finetuning")
    data = ingest(f"photographs={images}", DataParams(max_images=40 if small else 320), store)
    params = FinetuneParams(batch_size=8 if small else 32)
    pixels = 64 if small else 224
    for architecture in ("test_resnet",) if small else ("resnet50", "vit_base_patch16_224", "convnext_base"):
        model = random_model(folder, architecture, pixels)[1]
        with leased(device(where)) as target:
            config = facts.preprocessing_without_weights(model)
            decoded = read_images(read_index(data, store), data, config, target, store)
            training = Training(build(model), decoded, data.target, params, architecture)
            head = train_head(training.embedded_at_start, data.target, seed=0)
            for steps in (2, 6) if small else (5, 40):
                trained = Trajectory(training, head, 1e-5, steps, 1, seed=0).finish()
        if trained is None:
            raise RuntimeError(f"{architecture}: the loss is not finite")
        yield f"{architecture}_steps_per_second", round(trained.images_per_second / training.batch_size, 2)
        yield f"{architecture}_peak_gib", peak_gib(target)
        del training, decoded, trained, head
        gc.collect()
    yield "batch_size", params.batch_size


def parts(folder: Path, where: str, small: bool) -> dict[str, Callable[[], Figures]]:
    """Return the parts by name."""
    found: dict[str, Callable[[], Figures]] = {
        "tests": tests,
        "equality": partial(equality, folder, where, small),
        "finetune": partial(finetune, folder, where, small),
        "itm": partial(itm_together, where, small),
    }
    models = ("resnet50", "vit_base_patch16_224", "convnext_base")
    if small:
        models = ("test_resnet", "test_vit", "test_convnext")
    for name, architecture in zip(("resnet", "vit", "convnext"), models, strict=True):
        sizes = Sizes(128, 4096, 512, 224, 4.0)
        if small:
            sizes = Sizes(4, 24, 12, 160 if name == "vit" else 64, 0.1)  # a ViT has one size
        found[f"extract_{name}"] = partial(extraction, folder, where, architecture, sizes)
    return found


def machine(where: str) -> dict[str, Any]:
    """Return what the figures depend on besides the code."""
    target = device(where)
    found: dict[str, Any] = {"device": "cpu", "threads": torch.get_num_threads(), "cores": os.cpu_count()}
    found |= {"python": sys.version.split()[0], "torch": torch.__version__, "timm": version("timm")}
    if target.type == "cuda":
        properties = torch.cuda.get_device_properties(target)
        found |= {"device": properties.name, "memory_gib": round(properties.total_memory / 2**30, 1)}
        found |= {"capability": f"{properties.major}.{properties.minor}", "cuda": torch.version.cuda}
        found |= {"cudnn": torch.backends.cudnn.version()}
    return found


def main() -> None:
    """Compute parts and write their figures to a file. The first part that fails is the last."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("device")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("results", type=Path)
    parser.add_argument("names", nargs="+")
    options = parser.parse_args()
    with options.results.open("a", encoding="utf-8") as stream:

        def write(**line: Any) -> None:
            print(json.dumps(line), file=stream, flush=True)

        try:
            write(machine=machine(options.device))
            known = parts(options.folder, options.device, options.small)
            for name in options.names:
                for figure, value in known[name]():
                    write(figure=figure, value=value)
                gc.collect()
                torch.cuda.empty_cache()
                write(end=None)
        except Exception as error:
            traceback.print_exc()
            write(end=f"{type(error).__name__}: {error}"[:500])
            raise SystemExit(1) from error


if __name__ == "__main__":
    main()
