"""Extraction on a device against the bare forward pass of the same model."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.extract import decode_seconds
from benchmarks.extract_inputs import project
from benchmarks.gpu_inputs import copies, peak_gib, random_model
from itm.core.params import Params
from itm.core.types import ModelRef
from itm.core.yaml_records import read_yaml
from itm.features.decoded_file import DecodedFile
from itm.features.devices import device
from itm.run.engine import execute
from itm.run.executors import executor
from itm.run.plan import Plan, plan
from itm.run.stages import EXTRACT
from itm.store.layout import Store
from itm.zoo.load import build

ROUNDS, WARM = 3, 3
LEAST = 6  # batches that are extracted
DECODED = "20 GB"  # more than the images take


@dataclass(frozen=True)
class Sizes:
    """How much is extracted: `images` images of `pixels` squared, or what a forward pass can compute in `seconds`, if less.

    The images are copies of `originals` different ones. `batch` is the batch size of extraction and of the forward pass.
    """

    batch: int
    images: int
    originals: int
    pixels: int
    seconds: float


def extraction(folder: Path, where: str, architecture: str, sizes: Sizes) -> Iterator[tuple[str, Any]]:
    """Time extraction in bf16 without and with decoded images, and the bare forward pass.

    Rates are those that itm reports: images per second from the first decoded image on. `stage_seconds` also has what comes
    before, such as reading the weights.
    """
    entry, model = random_model(folder, architecture, sizes.pixels)
    target = device(where)
    forward = forward_rate(model, target, sizes)
    yield "forward_images_per_second", round(forward, 1)
    originals = folder / "photographs" / "originals"
    images = copies(folder / "photographs", sizes.originals, sizes.images)
    decoding = sizes.originals / min(decode_seconds(originals, model) for _ in range(2))
    yield "decode_images_per_second", round(decoding, 1)
    count = min(sizes.images, max(LEAST, int(forward * sizes.seconds / sizes.batch)) * sizes.batch)
    parameters = project(
        folder / architecture,
        images,
        [entry],
        data={"sets": [f"images={images}"], "max_images": count},
        extract={"device": where, "precision": "bf16", "batch_size": sizes.batch, "decoded": DECODED, "resume": "always"},
        runner={"kind": "inline"},
    )
    params = read_yaml(parameters, Params).model_copy(update={"store": folder / "store"})  # images are ingested once
    store = Store(params.store)
    pairs = plan(params, store).through(EXTRACT)
    peak_gib(target)  # that of the forward pass
    rows, cold = _extract(pairs, params, store)
    yield "cold", cold | _over(forward, min(forward, decoding), cold)
    path = next(store.decoded.glob("*.images"), None)
    if path is None:
        raise RuntimeError("decoded images were not kept")
    reading = _read_rate(DecodedFile(path, rows, (3, sizes.pixels, sizes.pixels)))
    yield "read_images_per_second", round(reading, 1)
    _, decoded = _extract(pairs, params, store)
    yield "decoded", decoded | _over(forward, min(forward, reading), decoded)
    shutil.rmtree(store.decoded)
    yield "images", rows
    yield "peak_gib", peak_gib(target)


def _extract(pairs: Plan, params: Params, store: Store) -> tuple[int, dict[str, float]]:
    """Return the number of images, and how fast they were extracted."""
    began = time.perf_counter()
    (outcome,) = execute(pairs, executor(params.runner), store, params)
    seconds = time.perf_counter() - began
    features = outcome.features
    if outcome.failures or features is None:
        raise RuntimeError("; ".join(failure.reason for failure in outcome.failures) or "there are no features")
    return features.rows, {"images_per_second": features.images_per_second, "stage_seconds": round(seconds, 2)}


def _over(forward: float, bound: float, found: dict[str, float]) -> dict[str, float]:
    """Return the time of an extraction over that of the forward pass, and over that of the slower of two parallel steps."""
    rate = found["images_per_second"]
    return {"time_over_forward": round(forward / rate, 3), "time_over_bound": round(bound / rate, 3)}


def _read_rate(file: DecodedFile) -> float:
    """Return the images per second that one thread reads from a file of decoded images."""
    began = time.perf_counter()
    count = sum(1 for _ in file.read())
    return count / (time.perf_counter() - began)


def forward_rate(model: ModelRef, target: torch.device, sizes: Sizes) -> float:
    """Return the images per second of bare forward passes in bf16 on inputs that are on the device."""
    module: Any = build(model).to(device=target, memory_format=torch.channels_last)  # type: ignore[call-overload]
    inputs = torch.randn(sizes.batch, 3, sizes.pixels, sizes.pixels, device=target).to(memory_format=torch.channels_last)
    with torch.inference_mode(), torch.autocast(target.type, dtype=torch.bfloat16):

        def seconds(passes: int) -> float:
            _synchronise(target)
            began = time.perf_counter()
            for _ in range(passes):
                module(inputs)
            _synchronise(target)
            return time.perf_counter() - began

        seconds(WARM)
        passes = max(2, int(sizes.seconds / ROUNDS / seconds(1)))
        best = min(seconds(passes) for _ in range(ROUNDS))
    return passes * sizes.batch / best


def _synchronise(target: torch.device) -> None:
    if target.type == "cuda":
        torch.cuda.synchronize(target)
