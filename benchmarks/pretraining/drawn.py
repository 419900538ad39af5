"""Train the embedded zoo on synthetic images: `python -m benchmarks.pretraining.drawn`, minutes per model on one core.

The models differ in architecture, size and training: long, short or none, on one family of images or on all, or on another task
(the noise level of the image).
"""

import argparse
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.pretraining.checkpoints import write_checkpoint
from benchmarks.pretraining.pictures import DRAWN_SEED, MEAN, STD, normalise
from itm.data.sources.drawing import SyntheticSet, draw
from itm.zoo.timm_gate import timm

log = logging.getLogger(__name__)

DIFFICULTIES = (0.1, 0.4, 0.7, 0.9)


@dataclass(frozen=True)
class Recipe:
    """Architecture and training of one embedded model."""

    tag: str
    architecture: str
    families: tuple[str, ...]
    epochs: float
    task: str = "classes"
    input_size: int = 48
    learning_rate: float = 2e-3
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.architecture}.{self.tag}"

    @property
    def history(self) -> str:
        """Return a short description of the training."""
        if not self.epochs:
            return "untrained"
        task = "classes of" if self.task == "classes" else f"{self.task} of"
        return f"{task} drawn {' + '.join(self.families)}, {self.epochs:g} epochs"


ALL = ("shapes", "strokes", "textures")
VIT = {"img_size": 48, "patch_size": 8}
RECIPES = (
    Recipe("drawn_long", "test_resnet", ALL, 12),
    Recipe("drawn_short", "test_resnet", ALL, 0.5),
    Recipe("textures", "test_efficientnet", ("textures",), 24, input_size=64),
    Recipe("shapes", "test_byobnet", ("shapes",), 40),
    Recipe("drawn_long", "test_vit", ALL, 24, learning_rate=1e-3, arguments=VIT),
    Recipe("noise", "test_convnext", ("shapes", "textures"), 8, task="noise"),
    Recipe("strokes", "test_mambaout", ("strokes",), 24, input_size=64),
    Recipe("untrained", "test_vit", (), 0, arguments=VIT),
)


def drawings(families: tuple[str, ...], images: int, task: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Generate `images` images per family over all difficulties: uint8 pixels [n, 3, side, side] and class numbers [n].

    For the task "noise", the class is the noise level.
    """
    pixels, names = [], []
    for family in families:
        for difficulty in DIFFICULTIES:
            settings = SyntheticSet(family, images // len(DIFFICULTIES), difficulty, seed=DRAWN_SEED)
            for name, _, image in draw(settings):
                pixels.append(np.asarray(image))
                names.append(str(difficulty) if task == "noise" else f"{family}/{name}")
    labels = np.unique(names, return_inverse=True)[1]
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2), torch.from_numpy(labels)


def train(recipe: Recipe, images: int, seed: int) -> torch.nn.Module:
    """Train one model from random weights with this seed."""
    torch.manual_seed(seed)
    pixels, labels = drawings(recipe.families, images, recipe.task) if recipe.families else (torch.empty(0), torch.empty(0))
    classes = int(labels.max()) + 1 if len(labels) else 10
    model = timm.create_model(recipe.architecture, num_classes=classes, **recipe.arguments)
    batch, steps = 64, int(recipe.epochs * len(pixels)) // 64
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.learning_rate, total_steps=max(steps, 2), pct_start=0.15)
    model.train()
    accuracy = 0.0
    for step in range(steps):
        rows = torch.randint(len(pixels), (batch,))
        x, y = pixels[rows].float() / 255, labels[rows]
        dy, dx = (int(v) for v in torch.randint(-4, 5, (2,)))
        x = torch.roll(x, (dy, dx), (2, 3))
        if recipe.input_size != x.shape[-1]:
            x = F.interpolate(x, size=recipe.input_size, mode="bicubic", antialias=True)
        logits = model(normalise(x))
        loss = F.cross_entropy(logits, y, label_smoothing=0.05)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        accuracy = 0.98 * accuracy + 0.02 * (logits.argmax(1) == y).float().mean().item()
        if step % 200 == 0 or step == steps - 1:
            log.info("%s: step %d of %d, running accuracy %.3f", recipe.name, step + 1, steps, accuracy)
    return model.eval()


def entry(recipe: Recipe, classes: int) -> dict[str, Any]:
    """Return the entry of the zoo file."""
    return {
        "name": recipe.name,
        "architecture": recipe.architecture,
        "arguments": {"num_classes": classes, **recipe.arguments},
        "checkpoint": f"{recipe.name}.safetensors",
        "input_size": recipe.input_size,
        "mean": list(MEAN),
        "std": list(STD),
        "crop": 1.0,
        "pretraining": recipe.history,
    }


def main() -> None:
    """Train all recipes or the given ones, and add them to the zoo."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="recipes to train (default: all)")
    parser.add_argument("--folder", type=Path, default=Path("data/zoo"))
    parser.add_argument("--images", type=int, default=6000, help="number of images per family")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    options.folder.mkdir(parents=True, exist_ok=True)
    for recipe in RECIPES:
        if options.names and recipe.name not in options.names:
            continue
        model = train(recipe, options.images, options.seed)
        write_checkpoint(model, entry(recipe, cast(int, model.num_classes)), options.folder)


if __name__ == "__main__":
    main()
