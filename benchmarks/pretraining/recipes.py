"""The mini pool, a small version of the pool of the ITM paper.

It has four supervised CNNs, three contrastive and three masked-image ViTs.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks.pretraining.contrastive import DINO, MoCo, SimCLR
from benchmarks.pretraining.masked import MAE, MaskFeat, SimMIM
from benchmarks.pretraining.objectives import Objective, Supervised
from itm.core.errors import ModelError, did_you_mean

SIZE = 48
VIT = {"img_size": SIZE, "patch_size": 8, "embed_dim": 96, "depth": 6, "num_heads": 3, "num_classes": 0}
POOLED = {**VIT, "class_token": False, "global_pool": "avg", "fc_norm": False}

ObjectiveName = Literal["supervised", "simclr", "moco", "dino", "mae", "simmim", "maskfeat"]
OBJECTIVES: dict[ObjectiveName, type[Objective]] = {
    "supervised": Supervised,
    "simclr": SimCLR,
    "moco": MoCo,
    "dino": DINO,
    "mae": MAE,
    "simmim": SimMIM,
    "maskfeat": MaskFeat,
}


@dataclass(frozen=True)
class Recipe:
    """Architecture and training of one model of the mini pool. `pictures` is the number of pictures seen, with repeats."""

    architecture: str
    objective: ObjectiveName
    pictures: int
    batch: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the model's name in the zoo."""
        return f"mini_{self.architecture}.{self.objective}"

    @property
    def steps(self) -> int:
        """Return the number of steps of the optimiser."""
        return self.pictures // self.batch


RECIPES = (
    Recipe(
        "resnet18", "supervised", 200_000, learning_rate=2e-3, arguments={"layers": [1, 1, 1, 1], "channels": [24, 48, 96, 128]}
    ),
    Recipe("mobilenetv3_small_050", "supervised", 200_000, learning_rate=2e-3),
    Recipe(
        "convnext_atto",
        "supervised",
        200_000,
        learning_rate=2e-3,
        arguments={"depths": [1, 1, 4, 1], "dims": [24, 48, 96, 160]},
    ),
    Recipe(
        "densenet121", "supervised", 150_000, learning_rate=2e-3, arguments={"growth_rate": 16, "block_config": [3, 6, 9, 6]}
    ),
    Recipe("vit_tiny_patch16_224", "simclr", 80_000, batch=256, arguments=POOLED),
    Recipe("vit_tiny_patch16_224", "moco", 70_000, batch=256, arguments=VIT),
    Recipe("vit_tiny_patch16_224", "dino", 70_000, batch=128, arguments=VIT),
    Recipe("vit_tiny_patch16_224", "mae", 300_000, batch=256, arguments=POOLED),
    Recipe("vit_tiny_patch16_224", "simmim", 130_000, arguments=POOLED),
    Recipe("vit_tiny_patch16_224", "maskfeat", 130_000, arguments=POOLED),
)


def recipe(name: str) -> Recipe:
    """Return the recipe with this name.

    Raises
    ------
    ModelError
        If the mini pool has no such model.
    """
    known = {recipe.name: recipe for recipe in RECIPES}
    if name not in known:
        raise ModelError(f"the mini pool has no {name!r}{did_you_mean(name, known)} It has {', '.join(known)}.")
    return known[name]
