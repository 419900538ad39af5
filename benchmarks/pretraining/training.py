"""Train a model of the mini pool from random weights, and add it to the embedded zoo."""

import logging
from pathlib import Path
from typing import Any

import torch

from benchmarks.pretraining.checkpoints import write_checkpoint
from benchmarks.pretraining.objectives import Objective
from benchmarks.pretraining.pictures import MEAN, STD, Pictures
from benchmarks.pretraining.recipes import OBJECTIVES, SIZE, Recipe
from itm.zoo.timm_gate import timm

log = logging.getLogger(__name__)

WARM_UP = 0.1  # share of the steps
LOG_STEPS = 50  # steps between two log messages


def train(recipe: Recipe, pictures: Pictures, seed: int) -> torch.nn.Module:
    """Return the trained model. All random numbers come from the global generator of torch with this seed."""
    torch.manual_seed(seed)
    heads = {"num_classes": pictures.classes} if recipe.objective == "supervised" else {}
    backbone: torch.nn.Module = timm.create_model(recipe.architecture, **{**recipe.arguments, **heads})
    objective: Objective = OBJECTIVES[recipe.objective](backbone, SIZE)
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
        if step % LOG_STEPS == 0 or step == recipe.steps - 1:
            log.info("%s: step %d of %d, loss %.4f", recipe.name, step + 1, recipe.steps, running)
    return objective.backbone.eval()


def save(model: torch.nn.Module, recipe: Recipe, pictures: Pictures, folder: Path) -> None:
    """Add a trained model to the zoo of `folder`.

    Raises
    ------
    StoreError
        If the folder is not writable.
    """
    write_checkpoint(model, _entry(recipe, pictures), folder)


def _entry(recipe: Recipe, pictures: Pictures) -> dict[str, Any]:
    heads = {"num_classes": pictures.classes} if recipe.objective == "supervised" else {}
    return {
        "name": recipe.name,
        "architecture": recipe.architecture,
        "arguments": {**recipe.arguments, **heads},
        "checkpoint": f"{recipe.name}.safetensors",
        "input_size": SIZE,
        "mean": list(MEAN),
        "std": list(STD),
        "crop": 1.0,
        "pretraining": f"{recipe.objective} on {pictures.source}, {recipe.pictures / len(pictures):.2g} epochs",
    }
