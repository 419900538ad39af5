"""Masked-image objectives for a timm vision transformer: MAE, SimMIM and MaskFeat."""

import math
from typing import Any

import torch
import torch.nn.functional as F

from benchmarks.pretraining.objectives import Objective
from itm.zoo.timm_gate import timm

DECODER_WIDTH, DECODER_HEADS = 64, 4
ORIENTATIONS = 9


class _Masked(Objective):
    """Objective with a random share of hidden patches."""

    hidden_share = 0.6

    def __init__(self, backbone: torch.nn.Module, size: int) -> None:
        super().__init__(backbone, size)
        vit: Any = backbone
        self.vit, self.patch = vit, int(vit.patch_embed.patch_size[0])
        self.patches = (size // self.patch) ** 2
        self.visible = self.patches - round(self.hidden_share * self.patches)

    def random_order(self, count: int) -> torch.Tensor:
        """Return a random order of the patches of each picture, [b, patches]. The first `visible` patches are not hidden."""
        return torch.rand(count, self.patches).argsort(1)

    def patchify(self, seen: torch.Tensor) -> torch.Tensor:
        """Return the patches of pictures, [b, patches, 3 * patch * patch]."""
        return F.unfold(seen, self.patch, stride=self.patch).transpose(1, 2)


class MAE(_Masked):
    """Encode the visible patches, and predict the pixels of the others with a small decoder (He et al., CVPR 2022)."""

    hidden_share = 0.7

    def __init__(self, backbone: torch.nn.Module, size: int) -> None:
        super().__init__(backbone, size)
        self.to_decoder = torch.nn.Linear(self.vit.embed_dim, DECODER_WIDTH)
        self.mask_token = torch.nn.Parameter(torch.zeros(1, 1, DECODER_WIDTH))
        self.decoder_pos_embed = torch.nn.Parameter(0.02 * torch.randn(1, self.patches, DECODER_WIDTH))
        block = timm.models.vision_transformer.Block
        self.decoder = torch.nn.Sequential(*(block(DECODER_WIDTH, DECODER_HEADS) for _ in range(2)))
        self.to_pixels = torch.nn.Linear(DECODER_WIDTH, 3 * self.patch**2)

    def loss(self, pixels: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        """Return the squared error of the hidden patches, normalised by mean and standard deviation per patch."""
        seen = self.view(pixels)
        order = self.random_order(len(seen))
        tokens = self.vit.patch_embed(seen) + self.vit.pos_embed
        tokens = tokens.gather(1, order[:, : self.visible, None].expand(-1, -1, tokens.shape[2]))
        tokens = self.to_decoder(self.vit.norm(self.vit.blocks(tokens)))
        mask_tokens = self.mask_token.expand(len(seen), self.patches - self.visible, -1)
        inverse = order.argsort(1)[..., None].expand(-1, -1, DECODER_WIDTH)
        predicted = self.to_pixels(
            self.decoder(torch.cat([tokens, mask_tokens], 1).gather(1, inverse) + self.decoder_pos_embed)
        )
        target = self.patchify(seen)
        target = (target - target.mean(2, keepdim=True)) / (target.std(2, keepdim=True) + 1e-3)
        hidden = torch.zeros(len(seen), self.patches).scatter(1, order[:, self.visible :], 1.0)
        error: torch.Tensor = (predicted - target).square().mean(2) * hidden
        return error.sum() / hidden.sum()


class SimMIM(_Masked):
    """Encode hidden patches as a mask token, and predict their pixels with a linear layer (Xie et al., CVPR 2022)."""

    def __init__(self, backbone: torch.nn.Module, size: int) -> None:
        super().__init__(backbone, size)
        self.mask_token = torch.nn.Parameter(0.02 * torch.randn(1, 1, self.vit.embed_dim))
        self.predict = torch.nn.Linear(self.vit.embed_dim, self.target_width)

    @property
    def target_width(self) -> int:
        """Return the number of predicted values per patch."""
        return 3 * self.patch**2

    def target(self, seen: torch.Tensor) -> torch.Tensor:
        """Return the targets [b, patches, target_width]."""
        return self.patchify(seen)

    def loss(self, pixels: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        """Return the absolute error of the hidden patches."""
        seen = self.view(pixels)
        hidden = (self.random_order(len(seen)) >= self.visible).float()[..., None]
        tokens = self.vit.patch_embed(seen)
        tokens = tokens * (1 - hidden) + self.mask_token * hidden + self.vit.pos_embed
        predicted = self.predict(self.vit.norm(self.vit.blocks(tokens)))
        error: torch.Tensor = (predicted - self.target(seen)).abs().mean(2, keepdim=True)
        return (error * hidden).sum() / hidden.sum()


class MaskFeat(SimMIM):
    """Like SimMIM, but predict histograms of edge orientations (Wei et al., CVPR 2022)."""

    @property
    def target_width(self) -> int:
        return 4 * ORIENTATIONS

    def target(self, seen: torch.Tensor) -> torch.Tensor:
        """Return the normalised histograms of the four quarters of each patch."""
        grey = F.pad(seen.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
        dx, dy = grey[..., 1:-1, 2:] - grey[..., 1:-1, :-2], grey[..., 2:, 1:-1] - grey[..., :-2, 1:-1]
        bins = (torch.atan2(dy, dx) % math.pi / math.pi * ORIENTATIONS).long().clamp(max=ORIENTATIONS - 1)
        strength = torch.zeros(len(seen), ORIENTATIONS, *seen.shape[2:]).scatter_(1, bins, (dx**2 + dy**2).sqrt())
        cells = F.normalize(F.avg_pool2d(strength, self.patch // 2), dim=1)
        return F.unfold(cells, 2, stride=2).transpose(1, 2)
