"""Objectives without labels that fill in hidden patches of a timm vision transformer: MAE, SimMIM and MaskFeat."""

import math
from typing import Any

import torch
import torch.nn.functional as F

from benchmarks.pretraining.objectives import Objective
from itm.zoo.timm_import import timm

DECODER_WIDTH, DECODER_HEADS = 64, 4
ORIENTATIONS = 9


class _Masked(Objective):
    """A random share of the patches is hidden."""

    hidden_share = 0.6

    def __init__(self, backbone: torch.nn.Module, size: int) -> None:
        super().__init__(backbone, size)
        vit: Any = backbone
        self.vit, self.patch = vit, int(vit.patch_embed.patch_size[0])
        self.patches = (size // self.patch) ** 2
        self.visible = self.patches - round(self.hidden_share * self.patches)

    def shuffled(self, count: int) -> torch.Tensor:
        """Return an order of the patches for each picture [b, patches]; the first `visible` of it are seen."""
        return torch.rand(count, self.patches).argsort(1)

    def cut(self, seen: torch.Tensor) -> torch.Tensor:
        """Return the patches of pictures [b, patches, 3 * patch * patch]."""
        return F.unfold(seen, self.patch, stride=self.patch).transpose(1, 2)


class MAE(_Masked):
    """The encoder sees the visible patches alone; a small decoder paints the others (He et al., CVPR 2022)."""

    hidden_share = 0.7

    def __init__(self, backbone: torch.nn.Module, size: int) -> None:
        super().__init__(backbone, size)
        self.narrow = torch.nn.Linear(self.vit.embed_dim, DECODER_WIDTH)
        self.unseen = torch.nn.Parameter(torch.zeros(1, 1, DECODER_WIDTH))
        self.places = torch.nn.Parameter(0.02 * torch.randn(1, self.patches, DECODER_WIDTH))
        block = timm.models.vision_transformer.Block
        self.decoder = torch.nn.Sequential(*(block(DECODER_WIDTH, DECODER_HEADS) for _ in range(2)))
        self.paint = torch.nn.Linear(DECODER_WIDTH, 3 * self.patch**2)

    def loss(self, pixels: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        """Return the squared error of the hidden patches, each standardised by its own mean and deviation."""
        seen = self.view(pixels)
        order = self.shuffled(len(seen))
        tokens = self.vit.patch_embed(seen) + self.vit.pos_embed
        tokens = tokens.gather(1, order[:, : self.visible, None].expand(-1, -1, tokens.shape[2]))
        tokens = self.narrow(self.vit.norm(self.vit.blocks(tokens)))
        unseen = self.unseen.expand(len(seen), self.patches - self.visible, -1)
        back = order.argsort(1)[..., None].expand(-1, -1, DECODER_WIDTH)
        painted = self.paint(self.decoder(torch.cat([tokens, unseen], 1).gather(1, back) + self.places))
        target = self.cut(seen)
        target = (target - target.mean(2, keepdim=True)) / (target.std(2, keepdim=True) + 1e-3)
        hidden = torch.zeros(len(seen), self.patches).scatter(1, order[:, self.visible :], 1.0)
        error: torch.Tensor = (painted - target).square().mean(2) * hidden
        return error.sum() / hidden.sum()


class SimMIM(_Masked):
    """The encoder sees a mask token for hidden patches; a linear map gives their pixels (Xie et al., CVPR 2022)."""

    def __init__(self, backbone: torch.nn.Module, size: int) -> None:
        super().__init__(backbone, size)
        self.unseen = torch.nn.Parameter(0.02 * torch.randn(1, 1, self.vit.embed_dim))
        self.predict = torch.nn.Linear(self.vit.embed_dim, self.target_width)

    @property
    def target_width(self) -> int:
        """Return how many numbers are predicted a patch."""
        return 3 * self.patch**2

    def target(self, seen: torch.Tensor) -> torch.Tensor:
        """Return what is predicted [b, patches, target_width]."""
        return self.cut(seen)

    def loss(self, pixels: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        """Return the absolute error of the hidden patches."""
        seen = self.view(pixels)
        hidden = (self.shuffled(len(seen)) >= self.visible).float()[..., None]
        tokens = self.vit.patch_embed(seen)
        tokens = tokens * (1 - hidden) + self.unseen * hidden + self.vit.pos_embed
        predicted = self.predict(self.vit.norm(self.vit.blocks(tokens)))
        error: torch.Tensor = (predicted - self.target(seen)).abs().mean(2, keepdim=True)
        return (error * hidden).sum() / hidden.sum()


class MaskFeat(SimMIM):
    """As SimMIM, but what is predicted are histograms of edge orientations (Wei et al., CVPR 2022)."""

    @property
    def target_width(self) -> int:
        """Return the bins of four cells a patch."""
        return 4 * ORIENTATIONS

    def target(self, seen: torch.Tensor) -> torch.Tensor:
        """Return the unit histograms of the four quarters of each patch."""
        grey = F.pad(seen.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
        dx, dy = grey[..., 1:-1, 2:] - grey[..., 1:-1, :-2], grey[..., 2:, 1:-1] - grey[..., :-2, 1:-1]
        bins = (torch.atan2(dy, dx) % math.pi / math.pi * ORIENTATIONS).long().clamp(max=ORIENTATIONS - 1)
        strength = torch.zeros(len(seen), ORIENTATIONS, *seen.shape[2:]).scatter_(1, bins, (dx**2 + dy**2).sqrt())
        cells = F.normalize(F.avg_pool2d(strength, self.patch // 2), dim=1)
        return F.unfold(cells, 2, stride=2).transpose(1, 2)
