"""Trains one model of the mini pool from random weights and writes it into the embedded zoo."""

import logging
from pathlib import Path
from typing import Any

import torch
import yaml
from filelock import FileLock
from safetensors.torch import save_file

from itm.pretraining.objectives import Objective
from itm.pretraining.pictures import MEAN, STD, Pictures
from itm.pretraining.recipes import OBJECTIVES, SIZE, Recipe
from itm.store import write_beside
from itm.zoo.timm_gate import timm

log = logging.getLogger(__name__)

WARM_UP = 0.1  # share of the steps
PROGRESS = 50  # steps between two lines of the log


def train(recipe: Recipe, pictures: Pictures, seed: int) -> torch.nn.Module:
    """Return the trained model. The weights and every view come from torch's global generator, which is set to `seed`."""
    torch.manual_seed(seed)
    heads = {"num_classes": pictures.classes} if recipe.aim == "supervised" else {}
    backbone: torch.nn.Module = timm.create_model(recipe.architecture, **{**recipe.arguments, **heads})
    objective: Objective = OBJECTIVES[recipe.aim](backbone, SIZE)
    objective.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    trained = [parameter for parameter in objective.parameters() if parameter.requires_grad]
    decayed: dict[str, Any] = {"params": [p for p in trained if p.ndim > 1], "weight_decay": recipe.weight_decay}
    others: dict[str, Any] = {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0}
    optimiser = torch.optim.AdamW([decayed, others], lr=recipe.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=recipe.steps, pct_start=WARM_UP, cycle_momentum=False
    )
    objective.train()
    running = 0.0
    for step in range(recipe.steps):
        rows = torch.randint(len(pictures), (recipe.batch,))
        loss = objective.loss(pictures.pixels[rows], pictures.labels[rows])
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        schedule.step()
        objective.after_step(step / recipe.steps)
        running = float(loss.detach()) if not step else 0.95 * running + 0.05 * float(loss.detach())
        if step % PROGRESS == 0 or step == recipe.steps - 1:
            log.info("%s: step %d of %d, loss %.4f", recipe.name, step + 1, recipe.steps, running)
    return objective.backbone.eval()


def save(model: torch.nn.Module, recipe: Recipe, pictures: Pictures, folder: Path) -> None:
    """Write the weights, matrices and kernels in half precision, and the model's lines of the zoo file."""
    state = {name: (value.half() if value.ndim > 1 else value).contiguous() for name, value in model.state_dict().items()}
    write_beside(folder / f"{recipe.name}.safetensors", lambda path: save_file(state, path))
    zoo = folder / "zoo.yaml"
    with FileLock(folder / "zoo.lock"):
        entries = yaml.safe_load(zoo.read_text(encoding="utf-8"))["models"] if zoo.exists() else []
        entries = [one for one in entries if one["name"] != recipe.name] + [_entry(recipe, pictures)]
        text = yaml.safe_dump({"models": entries}, sort_keys=False)
        write_beside(zoo, lambda path: _write_text(path, text))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _entry(recipe: Recipe, pictures: Pictures) -> dict[str, Any]:
    heads = {"num_classes": pictures.classes} if recipe.aim == "supervised" else {}
    return {
        "name": recipe.name,
        "architecture": recipe.architecture,
        "arguments": {**recipe.arguments, **heads},
        "checkpoint": f"{recipe.name}.safetensors",
        "input_size": SIZE,
        "mean": list(MEAN),
        "std": list(STD),
        "crop": 1.0,
        "pretraining": f"{recipe.aim} on {pictures.source}, {recipe.pictures / len(pictures):.2g} epochs",
    }
