"""How fast a model is and how much memory it needs, measured alone and without decoding, and kept.

The results are facts of the architecture, the size of its images and the device. They depend neither on weights nor on data.
"""

import logging
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import torch
from torch import nn

from itm.core.errors import ModelError, StoreError, is_out_of_memory
from itm.core.keys import content_key
from itm.core.types import ModelRef, Speed
from itm.features.allocations import peak_memory
from itm.features.devices import THREADS, exact_convolutions
from itm.features.extractors import Extractor
from itm.features.identity import package_versions
from itm.store.layout import Store
from itm.store.records import RecordStore
from itm.zoo.construct import build_without_weights
from itm.zoo.load import definition
from itm.zoo.variant_module import as_variant

log = logging.getLogger(__name__)

SPEED = 1  # raise it when what is measured changes
SECONDS = 0.2  # of timed runs for each number of images
RUNS = 5, 50  # at least and at most, where they take less than `SLOW` seconds together
SLOW = 3.0
BATCHES = {"cpu": 32, "other": 1024}  # the largest that is tried; twice as many each time
PATIENCE = 2  # larger ones are not tried after so many that are not faster
SMALL = 2, 4  # images of the steps from which the memory of a larger one is extrapolated
RECORDS = RecordStore()


@dataclass(frozen=True)
class Speedometer:
    """Measures models on one device: embedding and fine-tuning in a precision, the latter with so many images in a step."""

    target: torch.device
    precision: str
    finetune_precision: str
    finetune_batch: int
    store: Store

    @property
    def device(self) -> str:
        """Return the name of the device."""
        return device_name(self.target)

    def stored(self, model: ModelRef) -> Speed | None:
        """Return what was measured before, or None."""
        return RECORDS.get_as(Speed, *self._record(model))

    def measure(self, model: ModelRef) -> Speed:
        """Measure a model with random weights, and keep the result.

        Raises
        ------
        ModelError
            If it cannot be built, or not even one image fits into memory.
        """
        path, key = self._record(model)
        with torch.random.fork_rng(devices=[]), _all_cores():
            torch.manual_seed(0)
            module = as_variant(model, build_without_weights(model).eval())
            found = self._measured(model.name, module, tuple(Extractor(model).preprocessing["input_size"]))
        try:
            RECORDS.put(path, key, asdict(found))
        except StoreError as error:
            log.warning("%s It is measured again by the next run.", error)
        return found

    def key(self, model: ModelRef) -> str:
        """Return a key that is equal for models with the same speed."""
        return self._record(model)[1]

    def _record(self, model: ModelRef) -> tuple[Path, str]:
        own = {name: value for name, value in definition(model).items() if name not in ("weights_key", "pooling")}
        name = model.architecture or ""
        architecture = name if ":" in name else name.partition(".")[0]  # a tag of timm only names weights
        own["architecture"], packages = architecture, package_versions(("timm", "torch"))
        facts = {"speed": SPEED, "model": own, "input_size": Extractor(model).preprocessing["input_size"], "packages": packages}
        facts |= {"device": self.device, "precision": self.precision, "finetune_batch": self.finetune_batch}
        facts |= {"finetune_precision": self.finetune_precision}
        key = content_key(facts)
        return self.store.speed(architecture or Path(model.factory or "").name, key), key

    def _measured(self, name: str, module: nn.Module, size: tuple[int, ...]) -> Speed:
        module.to(device=self.target, memory_format=torch.channels_last)  # type: ignore[call-overload]
        forward = _embedding(module)
        autocast = torch.autocast(self.target.type, dtype=torch.bfloat16, enabled=self.precision == "bf16")
        with torch.inference_mode(), autocast, exact_convolutions(self.precision == "fp32"):
            latency = self._seconds(forward, self._images(1, size))
            if latency is None:
                raise ModelError(f"{name}: memory runs out with a single image; its speed is unknown.")
            best, rate = self._best_batch(forward, size, 1 / latency)
            with peak_memory(self.target, [*module.parameters(), *module.buffers()]) as peak:
                forward(self._images(best, size))
                memory = peak()
        try:
            finetune_memory = self._finetune_memory(module, forward, size)
        except Exception as error:  # models can refuse to be trained
            if not is_out_of_memory(error):
                log.debug("%s: the memory of fine-tuning is unknown: %s", name, error)
            finetune_memory = None
        return Speed(
            device=self.device,
            latency_ms=round(1000 * latency, 3),
            images_per_second=round(rate, 1),
            batch=best,
            memory=memory,
            finetune_memory=finetune_memory,
            finetune_batch=self.finetune_batch,
        )

    def _best_batch(self, forward: "Forward", size: tuple[int, ...], rate: float) -> tuple[int, float]:
        """Return the number of images that is fastest, and the images per second."""
        best = batch = 1
        most = BATCHES["cpu" if self.target.type == "cpu" else "other"]
        while 2 * batch <= most and batch < best * 2**PATIENCE:
            batch *= 2
            seconds = self._seconds(forward, self._images(batch, size))
            if seconds is None:
                break
            if batch / seconds > rate:
                best, rate = batch, batch / seconds
        return best, rate

    def _seconds(self, forward: "Forward", images: torch.Tensor) -> float | None:
        """Return the median time of a forward pass after warming up, or None if memory runs out."""
        try:
            self._timed(forward, images)
            self._timed(forward, images)
            times = [self._timed(forward, images)]
            least, most = RUNS
            while (sum(times) < SECONDS and len(times) < most) or (len(times) < least and sum(times) < SLOW):
                times.append(self._timed(forward, images))
        except Exception as error:  # custom code can raise anything
            if is_out_of_memory(error):
                return None
            raise
        return statistics.median(times)

    def _timed(self, forward: "Forward", images: torch.Tensor) -> float:
        self._wait()
        began = time.perf_counter()
        forward(images)
        self._wait()
        return time.perf_counter() - began

    def _wait(self) -> None:
        if self.target.type == "cuda":
            torch.cuda.synchronize(self.target)

    def _images(self, count: int, size: tuple[int, ...]) -> torch.Tensor:
        images = torch.rand(count, *size, generator=torch.Generator().manual_seed(0))
        return images.to(self.target).contiguous(memory_format=torch.channels_last)

    def _finetune_memory(self, module: nn.Module, forward: "Forward", size: tuple[int, ...]) -> int:
        """Return the peak of a step of full fine-tuning with AdamW, which is not the first one.

        On a GPU it is measured. Elsewhere a step takes long, so it is extrapolated from small ones: what is kept for the
        backward pass is proportional to the number of images, and the rest does not depend on it.
        """
        width = forward(self._images(1, size)).shape[1]
        model = nn.Sequential(_Embedding(forward, module), nn.Linear(width, 2).to(self.target)).train().requires_grad_(True)
        optimiser = torch.optim.AdamW(model.parameters())

        def peak_of(count: int) -> int:
            images = self._images(count, size)
            with peak_memory(self.target, _tensors(model, optimiser, images)) as peak:
                with torch.autocast(self.target.type, dtype=torch.bfloat16, enabled=self.finetune_precision == "bf16"):
                    loss = model(images).square().mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                return peak()

        peak_of(SMALL[0])  # the first step makes gradients and the state of the optimiser
        if self.target.type == "cuda":
            return peak_of(self.finetune_batch)
        first, second = map(peak_of, SMALL)
        return first + (second - first) * (self.finetune_batch - SMALL[0]) // (SMALL[1] - SMALL[0])


Forward = Callable[[torch.Tensor], torch.Tensor]


class _Embedding(nn.Module):
    def __init__(self, forward: Forward, module: nn.Module) -> None:
        super().__init__()
        self.module, self.forward = module, forward


def _embedding(module: nn.Module) -> Forward:
    """Return the function from images to embeddings."""
    return lambda images: module.forward_head(module.forward_features(images), pre_logits=True)  # type: ignore[operator]


def _tensors(model: nn.Module, optimiser: torch.optim.Optimizer, images: torch.Tensor) -> Iterator[torch.Tensor]:
    yield images
    yield from model.buffers()
    for parameter in model.parameters():
        yield parameter
        if parameter.grad is not None:
            yield parameter.grad
    for state in optimiser.state.values():
        yield from (value for value in state.values() if isinstance(value, torch.Tensor))


@contextmanager
def _all_cores() -> Iterator[None]:
    """Use all cores: workers of this process may have used a share."""
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@cache
def device_name(target: torch.device) -> str:
    """Return the name of a device, such as that of a GPU, or of the processor and its number of threads."""
    if target.type == "cuda":
        return torch.cuda.get_device_name(target)
    if target.type != "cpu":
        return target.type
    name = platform.processor() or platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    return f"{name}, {THREADS} threads"
