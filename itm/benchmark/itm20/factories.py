"""Architectures of the checkpoints of `itm20` that timm does not have. They load the published weight files.

The zoo loads this file by its path, like any custom model code. All modules have the embedding interface of timm,
`forward_features` and `forward_head`.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from itm.zoo.timm_gate import import_torchvision, timm

HEAD = ("avgpool", "dropout", "fc", "classifier")
DECODER = ("decoder.", "encoder.mask_token", "encoder.rel_pos_bias.relative_position_index")  # the last is computed, not loaded
published: Any = import_torchvision().models


def googlenet() -> nn.Module:
    """Return torchvision's GoogLeNet without auxiliary heads. Its inputs are in -1 to 1."""
    network = published.googlenet(weights=None, aux_logits=False, init_weights=False)
    return _with_renamed_keys(_with_embeddings(network), lambda key: None if key.startswith("aux") else key)


def mnasnet1_0() -> nn.Module:
    return _with_embeddings(published.mnasnet1_0(weights=None))


def mobilenet_v2() -> nn.Module:
    return _with_embeddings(published.mobilenet_v2(weights=None))


def mocov3_vitb16() -> nn.Module:
    """Return the base encoder of MoCo v3 (Chen et al., ICCV 2021), without projection, predictor and momentum encoder."""

    def encoder(key: str) -> str | None:
        inner = key.removeprefix("base_encoder.")
        return None if inner == key or inner.startswith("head.") else inner

    return _with_renamed_keys(timm.create_model("vit_base_patch16_224", num_classes=0), encoder)


def simmim_vitb16() -> nn.Module:
    """Return the encoder of SimMIM (Xie et al., CVPR 2022). Embeddings are normalised means over patches."""

    def encoder(key: str) -> str | None:
        inner = key.removeprefix("encoder.")
        return None if key.startswith(DECODER) else f"fc_{inner}" if inner.startswith("norm.") else inner

    model = timm.create_model("beit_base_patch16_224", num_classes=0, use_rel_pos_bias=False, use_shared_rel_pos_bias=True)
    return _with_renamed_keys(model, encoder)


def _with_embeddings(network: Any) -> nn.Module:
    """Add the embedding interface of timm to a torchvision network. Its layers up to the global mean must be sequential."""

    def forward_features(images: torch.Tensor) -> torch.Tensor:
        for name, layer in network.named_children():
            if name not in HEAD:
                images = layer(images)
        return images

    def forward_head(features: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        *_, last = network.children()
        embeddings = features.mean((2, 3))
        logits: torch.Tensor = embeddings if pre_logits else last(embeddings)
        return logits

    network.forward_features, network.forward_head = forward_features, forward_head  # instead of one subclass per network
    network.num_classes = 1000
    module: nn.Module = network
    return module


def _with_renamed_keys(module: nn.Module, name: Callable[[str], str | None]) -> nn.Module:
    """Rename the keys of a state dict by `name` when `module` loads it. Keys renamed to None are dropped."""

    def rename(_: nn.Module, state: dict[str, torch.Tensor], *__: Any) -> None:
        renamed = [(name(key), state.pop(key)) for key in list(state)]
        state.update((key, value) for key, value in renamed if key is not None)

    module.register_load_state_dict_pre_hook(rename)
    return module
