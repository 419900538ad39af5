"""Inputs of `benchmarks/extract.py`: photographs, checkpoints and projects, made once in a folder."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image, ImageEnhance, ImageOps
from safetensors.torch import save_file
from sklearn.datasets import load_sample_images

from itm.core.types import ModelRef
from itm.zoo.construct import build_without_weights

SIZE = 500, 375
CLASSES = 6
SMALL = 64


def photographs(folder: Path, count: int, size: tuple[int, int] = SIZE) -> Path:
    """Write crops of the two photographs that scikit-learn ships, flipped and with other colours, as JPEGs of quality 90."""
    sources = [Image.fromarray(image) for image in load_sample_images().images]
    for number in range(count):
        path = folder / f"class{number % CLASSES}" / f"{number:06d}.jpg"
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn = np.random.default_rng(number)
        source = sources[number % len(sources)]
        width = int(drawn.uniform(0.5, 0.95) * source.width)
        height = min(source.height, width * size[1] // size[0])
        left, top = drawn.integers(0, source.width - width + 1), drawn.integers(0, source.height - height + 1)
        image = source.crop((left, top, left + width, top + height)).resize(size, Image.Resampling.BICUBIC)
        image = ImageOps.mirror(image) if drawn.random() < 0.5 else image
        for change in (ImageEnhance.Color, ImageEnhance.Brightness, ImageEnhance.Contrast):
            image = change(image).enhance(drawn.uniform(0.7, 1.3))
        image.save(path, quality=90)
    return folder


def small_images(folder: Path, count: int) -> Path:
    """Write small JPEGs that all differ: one picture per class, followed by a number that decoders skip."""
    pictures = [_picture(number) for number in range(CLASSES)]
    for kind in range(CLASSES):
        (folder / f"class{kind}").mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = folder / f"class{number % CLASSES}" / f"{number:07d}.jpg"
        if not path.exists():
            path.write_bytes(pictures[number % CLASSES] + b"%d" % number)
    return folder


def _picture(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (SMALL // 8, SMALL // 8, 3), np.uint8)
    written = BytesIO()
    Image.fromarray(pixels).resize((SMALL, SMALL)).save(written, "JPEG", quality=75)
    return written.getvalue()


def checkpoint(folder: Path, architecture: str, seed: int, pixels: int) -> dict[str, Any]:
    """Write random weights unless they exist, and return the entry of the model in a zoo file."""
    name = f"{architecture}.drawn{seed}"
    path = folder / f"{name}.safetensors"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(seed)
        module = build_without_weights(ModelRef(name, architecture, arguments={"num_classes": 0}))
        save_file({key: value.contiguous() for key, value in module.state_dict().items()}, path)
    entry = {"name": name, "architecture": architecture, "arguments": {"num_classes": 0}, "checkpoint": str(path)}
    return entry | {"input_size": pixels, "crop": 0.875}


def project(folder: Path, images: Path, models: Sequence[dict[str, Any]], **sections: dict[str, Any]) -> Path:
    """Write a zoo file and parameters into `folder`, and return the path of the parameters."""
    folder.mkdir(parents=True, exist_ok=True)
    values = {
        "data": {"sets": [f"images={images}"]},
        "zoo": {"file": str(folder / "zoo.yaml")},
        "score": {"names": ["knn"], "splits": ["train", "val", "test"]},
        "store": str(folder / "store"),
    }
    (folder / "zoo.yaml").write_text(yaml.safe_dump({"models": [*models]}), encoding="utf-8")
    (folder / "params.yaml").write_text(yaml.safe_dump(values | sections), encoding="utf-8")
    return folder / "params.yaml"
