"""A backbone with a linear head, as fine-tuning trains it and as its weights are kept."""

import torch
from torch import nn

from itm.zoo.feature_map import FeatureMap

Tensor = torch.Tensor
DROPS = ("DropPath", "Dropout", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout", "PatchDropout", "DropBlock2d")
BatchNorm = nn.modules.batchnorm._BatchNorm


class Network(nn.Module):
    """A backbone with a new linear head. It works for every model with the embedding interface of timm."""

    def __init__(self, backbone: nn.Module, head: nn.Linear) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def embed(self, images: Tensor) -> Tensor:
        """Return the embeddings [b, width] of inputs [b, 3, height, width]."""
        features = self.backbone.forward_features(images)  # type: ignore[operator]
        embedding: Tensor = self.backbone.forward_head(features, pre_logits=True)  # type: ignore[operator]
        return embedding

    def forward(self, images: Tensor) -> Tensor:
        """Return the outputs [b, outputs] of inputs [b, 3, height, width]."""
        outputs: Tensor = self.head(self.embed(images))
        return outputs

    def learn(self, freeze_statistics: bool) -> None:
        """Go to training mode without dropout, which only slows short runs, and with fixed batch statistics if requested."""
        self.train()
        for module in self.modules():
            if type(module).__name__ in DROPS or (freeze_statistics and isinstance(module, BatchNorm)):
                module.eval()


class MapNetwork(Network):
    """A backbone that returns a feature map, with the linear head at every place of it."""

    def embed(self, images: Tensor) -> Tensor:
        """Return the feature maps [b, width, rows, columns] of inputs [b, 3, height, width]."""
        found: Tensor = self.backbone(images)
        return found

    def forward(self, images: Tensor) -> Tensor:
        """Return the outputs [b, outputs, rows, columns] of inputs [b, 3, height, width]."""
        outputs: Tensor = self.head(self.embed(images).movedim(1, -1))
        return outputs.movedim(-1, 1)


def network_of(backbone: nn.Module) -> Network:
    """Return a network of a backbone, with a head whose width is not known yet."""
    return (MapNetwork if isinstance(backbone, FeatureMap) else Network)(backbone, nn.Linear(1, 1))
