"""The modules of variants: a model of timm without its last blocks, or with another pooling.

They are built as a user of timm builds them, so `itm.zoo.recipe` is what was ranked. Models with a sequence of tokens, such as
vision transformers, can also serve several variants from one forward pass.
"""

import inspect
from collections.abc import Collection
from typing import Any

import torch
from torch import nn

from itm.core.errors import ModelError
from itm.core.types import ModelRef
from itm.core.variants import split_variant


class Pooled(nn.Module):
    """A model with tokens whose embedding is pooled from them by `pooling`, or as the model does. It has no classifier."""

    num_classes = 0  # the classifier of the checkpoint belongs to another embedding

    def __init__(self, backbone: Any, pooling: str | None) -> None:
        super().__init__()
        self.backbone: Any = backbone
        self.pooling = pooling

    def forward_features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the tokens [n, tokens, width] of inputs [n, channels, height, width]."""
        tokens: torch.Tensor = self.backbone.forward_features(images)
        return tokens

    def forward_head(self, tokens: torch.Tensor, pre_logits: bool = True) -> torch.Tensor:  # noqa: ARG002
        """Return the embeddings [n, width] of tokens [n, tokens, width]."""
        if self.pooling is None:
            embedding: torch.Tensor = self.backbone.forward_head(tokens, pre_logits=True)
            return embedding
        norm = getattr(self.backbone, "fc_norm", None) or nn.Identity()
        pooled = {"token": lambda: tokens[:, 0], "mean": lambda: tokens[:, self.backbone.num_prefix_tokens :].mean(dim=1)}
        return torch.cat([norm(pooled[part]()) for part in self.pooling.split("+")], dim=1)


def plain(module: nn.Module) -> nn.Module:
    """Return the model of timm in a module."""
    return module.backbone if isinstance(module, Pooled) else module


def as_variant(model: ModelRef, module: Any) -> nn.Module:
    """Turn the module of the plain model into that of the variant, in place, and return it. Other models stay as they are.

    Raises
    ------
    ModelError
        If the model has no such variant.
    """
    check_variant(model, module)
    if model.block is not None:
        try:
            module.prune_intermediate_layers([model.block - 1], prune_head=not has_tokens(module))
            module.reset_classifier(0, None if has_tokens(module) else "avg")
        except Exception as error:  # timm refuses some in its own words, and custom code can raise anything
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"{model.name}: there is no such variant ({type(error).__name__}: {reason}).") from error
        module.eval()
    found: nn.Module = Pooled(module, model.pooling) if model.pooling else module
    return found


def check_variant(model: ModelRef, module: Any) -> None:
    """Raise a `ModelError` if the model of `module` has no variant such as `model`."""
    if model.pooling:
        _check_pooling(model.name, module, model.pooling)
    if model.block is not None:
        _check_block(model.name, module, model.block)


def has_tokens(module: Any) -> bool:
    """Return whether the model computes one sequence of tokens, which keeps its length from block to block."""
    parameters = inspect.signature(getattr(module, "forward_intermediates", lambda: None)).parameters
    return "return_prefix_tokens" in parameters and hasattr(module, "num_prefix_tokens")


def tokens_after(module: Any, blocks: Collection[int | None], images: torch.Tensor) -> dict[int | None, torch.Tensor]:
    """Return the normalised tokens [n, tokens, width] after each of `blocks`, from one forward pass; None is the last block."""
    earlier = sorted({block for block in blocks if block is not None})
    if not earlier:
        return {None: module.forward_features(images)}
    options = {"norm": True, "return_prefix_tokens": True, "output_fmt": "NLC", "stop_early": None not in blocks}
    last, found = module.forward_intermediates(images, indices=[block - 1 for block in earlier], **options)
    tokens = [torch.cat([one[1], one[0]], dim=1) if isinstance(one, tuple) else one for one in found]
    return dict(zip(earlier, tokens, strict=True)) | ({None: last} if None in blocks else {})


def _check_pooling(name: str, module: Any, pooling: str) -> None:
    if not has_tokens(module):
        raise ModelError(f"{name}: the model has no tokens to choose from; its pooling is part of it.")
    if "token" in pooling and getattr(module, "cls_token", None) is None:
        raise ModelError(f"{name}: the model has no class token.")
    own = {"token": "token", "avg": "mean"}.get(str(getattr(module, "global_pool", "")))
    if pooling == own == split_variant(name)[1] and not getattr(module, "pool_include_prefix", False):
        raise ModelError(f"{name}: is the plain model, whose embedding is the {'class token' if own == 'token' else 'mean'}.")


def _check_block(name: str, module: Any, block: int) -> None:
    levels = getattr(module, "feature_info", None)
    if not levels or not hasattr(module, "prune_intermediate_layers"):
        raise ModelError(f"{name}: the blocks of the model cannot be read one by one.")
    if not has_tokens(module) and len({level.get("reduction") for level in levels}) < 2:
        raise ModelError(f"{name}: the class token of the model joins after its blocks, or its blocks have no embedding.")
    if block >= len(levels):
        raise ModelError(f"{name}: the model has {len(levels)} blocks, so an earlier one is between 1 and {len(levels) - 1}.")
