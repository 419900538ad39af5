"""Compare the stored speed of models with loops of their own: `python -m benchmarks.model_speed`. Five minutes on two cores.

The loops build models with timm alone and take the median of the calls of a second. Memory is what torch's profiler saw being
allocated. The last line is JSON: what itm stores, divided by what the loop measured.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from itm.core.types import ModelRef
from itm.features.speed import Speedometer
from itm.store.layout import Store
from itm.zoo.timm_gate import timm

MODELS = ("mobilenetv3_small_100", "mobilenetv3_large_100", "resnet18", "vit_tiny_patch16_224")
PIXELS, STEP = 224, 32
ROUNDS, SECONDS = 5, 1.0


def main() -> None:
    """Measure, and print the ratios."""
    print(json.dumps(ratios()))


def ratios() -> dict[str, dict[str, float]]:
    """Return stored over measured by model and quantity. Both take turns, since the machine may become slower or faster."""
    found = {}
    for name in MODELS:
        model: Any = timm.create_model(name, num_classes=0).eval().to(memory_format=torch.channels_last)
        rounds = []
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory() as folder:
                own = Speedometer(torch.device("cpu"), "fp32", "fp32", STEP, Store(Path(folder))).measure(ModelRef(name, name))
            rate = own.batch / _seconds_per_call(model, own.batch)
            rounds.append((own.latency_ms / 1000 / _seconds_per_call(model, 1), own.images_per_second / rate))
        assert own.finetune_memory
        weights = sum(value.nbytes for value in [*model.parameters(), *model.buffers()])
        found[name] = {
            "latency": statistics.median(latency for latency, _ in rounds),
            "throughput": statistics.median(throughput for _, throughput in rounds),
            "memory": own.memory / (weights + _allocated(partial(_forward, model, own.batch))),
            "finetune_memory": own.finetune_memory / _finetune_memory(name),
        }
        found[name] = {word: round(value, 3) for word, value in found[name].items()}
        print(name, found[name], flush=True)
    return found


def _images(count: int) -> torch.Tensor:
    return torch.zeros(count, 3, PIXELS, PIXELS).to(memory_format=torch.channels_last)


def _forward(model: Any, count: int) -> None:
    with torch.inference_mode():
        model(_images(count))


def _seconds_per_call(model: Any, count: int) -> float:
    images, times = _images(count), list[float]()
    with torch.inference_mode():
        model(images)
        while sum(times) < SECONDS or len(times) < 3:
            began = time.perf_counter()
            model(images)
            times.append(time.perf_counter() - began)
    return statistics.median(times)


def _finetune_memory(name: str) -> float:
    model = timm.create_model(name, num_classes=2).train().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(model.parameters())

    def step() -> None:
        loss = model(_images(STEP)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    step()
    kept = [*model.parameters(), *model.buffers(), *(p.grad for p in model.parameters())]
    moments = 2 * sum(parameter.nbytes for parameter in model.parameters())
    return sum(value.nbytes for value in kept if value is not None) + moments + _allocated(step)


def _allocated(call: Callable[[], None]) -> int:
    """Return the most bytes that a call holds beyond those it found, as the allocator reports them."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        call()
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    now = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    return most


if __name__ == "__main__":
    main()
