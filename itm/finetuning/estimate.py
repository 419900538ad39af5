"""How long fine-tuning will take, from one measured step per model, said before it starts."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from itm.core.params import Params
from itm.core.text import duration, pluralize
from itm.core.types import DataRef, ModelRef, Outcome, SplitName
from itm.data.index import read_usable
from itm.features.devices import device, leased
from itm.features.extractors import Extractor, extractor_for
from itm.finetuning.images import SPLITS
from itm.finetuning.network import Network, network_of
from itm.finetuning.steps import learning_rates, total_steps
from itm.run.plan import Plan
from itm.run.stages import Job
from itm.store.layout import Store

log = logging.getLogger(__name__)

FORWARD = 1 / 3  # the time of an evaluated image over that of a trained one
LONGEST = 60.0  # seconds of measuring; further models count as the mean of the measured ones
QUICK = 0.5  # seconds of a step below which a second one is measured, because the first one also loads code
SHORT = 20.0  # seconds; an estimate below this is not worth a line
MOST_NAMED = 5


@dataclass(frozen=True)
class Estimate:
    """The estimated seconds of one pair, and the measured seconds of a step."""

    model: str
    data: str
    steps: int
    step_seconds: float
    seconds: float


def log_estimate(planned: Plan, params: Params, store: Store) -> None:
    """Log how long the pairs that are not stored will take at most, and what shortens it.

    Workers of a Dask cluster are other machines, so nothing is measured for them.
    """
    if params.runner.address:
        return
    jobs = [Job(model, data, Outcome(data.name, model.name)) for model, data in planned.pairs]
    cached = planned.stages[-1].find_cached(jobs, params, store)
    waiting = [(job.model, job.data) for job in jobs if job.key not in cached]
    found = estimates(waiting, params)
    if not found:
        return
    total = sum(one.seconds for one in found) * len(waiting) / len(found)
    if total < SHORT:
        return
    for one in sorted(found, key=lambda one: -one.seconds)[:MOST_NAMED]:
        about = (one.model, one.data, duration(one.seconds), one.steps, one.step_seconds)
        log.info("%s on %s: at most about %s (%d steps of %.2g s, and evaluations)", *about)
    log.info(
        "fine-tuning %s takes at most about %s on %s. To shorten it, lower --steps (%d) or --seeds (%d), or set --budget.",
        pluralize(len(waiting), "pair"),
        duration(total),
        device(params.extract.device).type,
        params.finetune.steps,
        params.finetune.seeds,
    )


def estimates(pairs: Sequence[tuple[ModelRef, DataRef]], params: Params) -> list[Estimate]:
    """Return estimates from one step per model. Models that cannot be measured are left out: fine-tuning says why."""
    began, steps, found = time.monotonic(), dict[tuple[str, int], float | None](), list[Estimate]()
    images: dict[str, dict[SplitName, int]] = {}
    for model, data in pairs:
        try:
            if data.name not in images:
                images[data.name] = _images_per_split(data)
            counts = images[data.name]
            batch = min(params.finetune.batch_size, counts["train"])
            if (model.name, batch) not in steps and time.monotonic() - began < LONGEST:
                steps[model.name, batch] = None
                steps[model.name, batch] = step_seconds(extractor_for(model, data), batch, params)
        except Exception as error:  # the pair itself reports it
            log.debug("%s on %s: no estimate: %s", model.name, data.name, error)
            continue
        if seconds := steps.get((model.name, batch)):
            found.append(_estimate(model, data, counts, seconds, params))
    return found


def _images_per_split(data: DataRef) -> dict[SplitName, int]:
    usable = read_usable(data)
    return {split: len(usable.filter(split=split)) for split in SPLITS}


def step_seconds(extractor: Extractor, batch: int, params: Params) -> float:
    """Return the seconds of one training step on a batch of noise."""
    with leased(device(params.extract.device)) as target:
        network = network_of(extractor.module.requires_grad_(True).to(target))
        network.learn(freeze_statistics=batch < 2)
        images = torch.randn(batch, *extractor.preprocessing["input_size"], device=target)
        seconds = _timed(network, images, target)
        return seconds if seconds > QUICK else _timed(network, images, target)


def _timed(network: Network, images: torch.Tensor, target: torch.device) -> float:
    began = time.perf_counter()
    network.embed(images).square().mean().backward()
    if target.type == "cuda":
        torch.cuda.synchronize(target)
    return time.perf_counter() - began


def _estimate(model: ModelRef, data: DataRef, counts: dict[SplitName, int], step: float, params: Params) -> Estimate:
    """Add the time of evaluations: embeddings twice, validation after each search, and all splits of each final run."""
    own, everything = params.finetune, sum(counts.values())
    rates, batch = len(learning_rates(own, counts["train"], len(data.target.names))), min(own.batch_size, counts["train"])
    steps, evaluated = total_steps(own, rates), 2 * everything
    if steps:
        evaluated += rates * counts["val"] + own.seeds * ((own.evaluations - 1) * counts["val"] + everything)
    return Estimate(model.name, data.name, steps, step, step * (steps + FORWARD * evaluated / batch))
