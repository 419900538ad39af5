"""The feature map of a model: one embedding per place of the image, for tasks whose targets are in the image."""

from typing import Any

import torch
from torch import nn

from itm.core.errors import ModelError
from itm.zoo.variant_module import Pooled, has_tokens

STRIDE = 16  # pixels: of hierarchical models, the deepest map that is at least as fine is taken
FEATURE_MAP = f"patch tokens of the last block, or the deepest map with a stride of at most {STRIDE}"


class FeatureMap(nn.Module):
    """A model as a function from inputs [n, channels, height, width] to its feature map [n, width, rows, columns].

    It is the map of patch tokens of a transformer after its last block and norm. Of other models, it is the deepest map whose
    stride is at most `STRIDE`, or the last one if all are coarser.
    """

    num_classes = 0

    def __init__(self, name: str, backbone: nn.Module) -> None:
        super().__init__()
        if isinstance(backbone, Pooled):
            raise ModelError(f"{name}: patches are not pooled, so such a variant has no embedding of its own; leave it out.")
        self.backbone: Any = backbone
        self._name = name
        self._level: int | None = None  # of the map among those of all levels; known after the first call

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the feature map."""
        if not hasattr(self.backbone, "forward_intermediates"):
            return self._checked(self.backbone.forward_features(images))
        if has_tokens(self.backbone):
            found = self.backbone.forward_intermediates(images, 1, norm=True, output_fmt="NCHW", intermediates_only=True)
            return self._checked(found[-1])
        levels = None if self._level is None else [self._level]
        options = {"stop_early": levels is not None, "output_fmt": "NCHW", "intermediates_only": True}
        maps = self.backbone.forward_intermediates(images, levels, **options)
        if levels is None:
            sides = [one.shape[-2] for one in maps]
            fine = [level for level, side in enumerate(sides) if side * STRIDE >= images.shape[-2]]
            self._level = max(fine, default=len(maps) - 1)
            return self._checked(maps[self._level])
        return self._checked(maps[-1])

    def _checked(self, found: Any) -> torch.Tensor:
        if not isinstance(found, torch.Tensor) or found.ndim != 4:
            shape = list(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
            raise ModelError(
                f"{self._name}: has no feature map: it returns {shape}, not [images, width, rows, columns]. For segmentation, "
                "take a model of timm, or a factory whose model has forward_intermediates."
            )
        return found
