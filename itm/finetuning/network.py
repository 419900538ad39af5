"""A backbone with a linear head, as fine-tuning trains it and as its weights are kept."""

import torch
from torch import nn

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
