"""Images and models of `benchmarks/gpu.py`, made without a network."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.extract_inputs import CLASSES, checkpoint, photographs
from itm.core.types import ModelRef, Preprocessing

TINT = 1.5
CROP = 0.875


def copies(folder: Path, originals: int, count: int) -> Path:
    """Write photographs, and so many copies of them with different bytes: a number follows that decoders skip."""
    written = sorted(photographs(folder / "originals", originals).rglob("*.jpg"))
    contents = [path.read_bytes() for path in written]
    for number in range(count):
        path = folder / f"copies{count}" / written[number % originals].parent.name / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_bytes(contents[number % originals] + b"%d" % number)
    return folder / f"copies{count}"


def tinted(folder: Path, count: int) -> Path:
    """Write photographs whose class can be seen: which of the two it is, and which of the three colours is stronger."""
    for path in sorted(photographs(folder / "photographs", count).rglob("*.jpg")):
        kind = int(path.parent.name.removeprefix("class"))
        pixels = np.asarray(Image.open(path)).astype(np.float32)
        pixels[..., kind * 3 // CLASSES] *= TINT
        own = folder / "tinted" / path.parent.name / path.name
        own.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(own, quality=90)
    return folder / "tinted"


def random_model(folder: Path, architecture: str, pixels: int) -> tuple[dict[str, Any], ModelRef]:
    """Return a model with random weights, as an entry of a zoo file and resolved."""
    entry = checkpoint(folder / "checkpoints", architecture, 0, pixels)
    shape = Preprocessing(input_size=pixels, crop=CROP)
    arguments, path = entry["arguments"], Path(entry["checkpoint"])
    return entry, ModelRef(entry["name"], architecture, arguments=arguments, checkpoint=path, preprocessing=shape)


def peak_gib(target: torch.device) -> float | None:
    """Return the most memory of a GPU that tensors took since the last call, in GiB."""
    if target.type != "cuda":
        return None
    found = torch.cuda.max_memory_allocated(target) / 2**30
    torch.cuda.reset_peak_memory_stats(target)
    return round(found, 2)
