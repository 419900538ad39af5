"""The architectures of those checkpoints of `itm20` that timm does not have, each read from its file as it is published.

The zoo loads this file by its path, like a team's own. Every module gives embeddings as timm's do, by `forward_features` and
`forward_head`.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from itm.zoo.timm_import import import_torchvision, timm

HEAD = ("avgpool", "dropout", "fc", "classifier")
DECODER = ("decoder.", "encoder.mask_token", "encoder.rel_pos_bias.relative_position_index")  # the last is computed
published: Any = import_torchvision().models


def googlenet() -> nn.Module:
    """Return torchvision's GoogLeNet without its auxiliary heads; it wants values from -1 to 1, as it was trained."""
    network = published.googlenet(weights=None, aux_logits=False, init_weights=False)
    return _reading(_with_embeddings(network), lambda key: None if key.startswith("aux") else key)


def mnasnet1_0() -> nn.Module:
    """Return torchvision's MNASNet."""
    return _with_embeddings(published.mnasnet1_0(weights=None))


def mobilenet_v2() -> nn.Module:
    """Return torchvision's MobileNetV2."""
    return _with_embeddings(published.mobilenet_v2(weights=None))


def mocov3_vitb16() -> nn.Module:
    """Return the base encoder of MoCo v3 (Chen et al., ICCV 2021), without its projection, its predictor and its twin."""

    def encoder(key: str) -> str | None:
        inner = key.removeprefix("base_encoder.")
        return None if inner == key or inner.startswith("head.") else inner

    return _reading(timm.create_model("vit_base_patch16_224", num_classes=0), encoder)


def simmim_vitb16() -> nn.Module:
    """Return the encoder of SimMIM (Xie et al., CVPR 2022); embeddings are means over patches, normalised."""

    def encoder(key: str) -> str | None:
        inner = key.removeprefix("encoder.")
        return None if key.startswith(DECODER) else f"fc_{inner}" if inner.startswith("norm.") else inner

    made = timm.create_model("beit_base_patch16_224", num_classes=0, use_rel_pos_bias=False, use_shared_rel_pos_bias=True)
    return _reading(made, encoder)


def _with_embeddings(network: Any) -> nn.Module:
    """Give a network of torchvision, whose layers run one after another up to the mean over places, timm's two functions."""

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

    network.forward_features, network.forward_head = forward_features, forward_head  # a subclass would be one for each of three
    network.num_classes = 1000
    module: nn.Module = network
    return module


def _reading(module: nn.Module, name: Callable[[str], str | None]) -> nn.Module:
    """Let `module` read a file whose keys `name` turns into its own; None is for what it does not have."""

    def rename(_: nn.Module, state: dict[str, torch.Tensor], *__: Any) -> None:
        renamed = [(name(key), state.pop(key)) for key in list(state)]
        state.update((key, value) for key, value in renamed if key is not None)

    module.register_load_state_dict_pre_hook(rename)
    return module
