"""The start of fine-tuning: the head, and how batch norm starts. It needs embeddings of all images, so it is stored."""

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from itm.core.errors import StoreError, cause
from itm.finetuning.head import Evaluation, Head
from itm.finetuning.training import Statistics
from itm.store.files import exists, write_atomically

log = logging.getLogger(__name__)

FACTS = "itm"  # the name of the facts among the metadata of the file
HEAD, STATISTICS = "head.", "statistics."  # prefixes of the names of tensors


@dataclass(frozen=True)
class Start:
    """What the runs of one seed start from, and the seconds that it took to compute it."""

    head: Head
    statistics: Statistics
    seconds: float


def write_start(path: Path, key: str, start: Start) -> None:
    """Write a start. If that fails, it is logged: the start is only computed again."""
    head, statistics = start.head, start.statistics
    tensors = {f"{HEAD}weight": head.weight, f"{HEAD}bias": head.bias}
    tensors |= {f"{STATISTICS}{name}": value for name, value in statistics.adapted.items()}
    facts = {
        "key": key,
        "learning_rate": head.learning_rate,
        "weight_decay": head.weight_decay,
        "evaluations": {split: asdict(one) for split, one in head.evaluations.items()},
        "frozen": statistics.frozen,
        "seconds": start.seconds,
    }
    own = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    try:
        write_atomically(path, lambda temporary: save_file(own, temporary, {FACTS: json.dumps(facts)}))
    except StoreError as error:
        log.warning("the start of fine-tuning is not kept: %s", error)


def read_start(path: Path, key: str, device: torch.device) -> Start | None:
    """Return the stored start of `key` on a device, or None. A file that cannot be read is logged and ignored."""
    if not exists(path):
        return None
    try:
        with safe_open(path, framework="np") as file:
            facts = json.loads((file.metadata() or {})[FACTS])
        if facts["key"] != key:
            return None
        tensors = {name: tensor.to(device) for name, tensor in load_file(path).items()}
        evaluations = {split: Evaluation(**one) for split, one in facts["evaluations"].items()}
        rates = facts["learning_rate"], facts["weight_decay"]
        head = Head(tensors[f"{HEAD}weight"], tensors[f"{HEAD}bias"], *rates, evaluations)
        adapted = {name.removeprefix(STATISTICS): value for name, value in tensors.items() if name.startswith(STATISTICS)}
        return Start(head, Statistics(facts["frozen"], adapted), facts["seconds"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        log.warning("%s: the start of fine-tuning cannot be read (%s). It is computed again.", path, cause(error))
        return None
