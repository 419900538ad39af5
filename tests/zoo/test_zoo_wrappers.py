"""Checkpoints as training scripts write them: the weights of the model are found, and the log says what was taken and left."""

import argparse
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from itm.core.types import ModelRef
from itm.zoo.load import build

pytestmark = pytest.mark.slow

Saved = Callable[..., tuple[ModelRef, torch.nn.Module]]
Embeddings = Callable[..., torch.Tensor]
State = dict[str, torch.Tensor]
ADAM = {"state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
ARGUMENTS = argparse.Namespace(lr=0.1, output_dir=Path("runs"))


def prefixed(state: State, prefix: str) -> State:
    return {f"{prefix}{key}": value for key, value in state.items()}


def other(state: State) -> State:
    """Return other weights of the same shapes, which must not be taken."""
    return {key: value + 1 for key, value in state.items()}


def mae(state: State) -> State:
    decoder = {
        "mask_token": torch.zeros(1, 1, 8),
        "decoder_pos_embed": torch.zeros(1, 4, 8),
        "decoder_embed.weight": torch.zeros(8, 8),
    }
    return state | decoder | {"decoder_blocks.0.norm1.weight": torch.zeros(8), "decoder_pred.bias": torch.zeros(8)}


WRAPPERS: dict[str, Callable[[State], Any]] = {
    "plain": lambda state: state,
    "state_dict": lambda state: {"state_dict": state, "epoch": 3, "arch": "vit", "optimizer": ADAM, "best_acc1": 71.5},
    "model of DeiT": lambda state: {"model": state, "optimizer": ADAM, "epoch": 3, "scaler": {"scale": 1.0}, "args": ARGUMENTS},
    "MAE": lambda state: {"model": state},
    "MAE with its decoder": lambda state: {"model": mae(state), "optimizer": ADAM, "args": ARGUMENTS},
    "timm's script": lambda state: {
        "epoch": 3,
        "arch": "test_vit",
        "state_dict": state,
        "optimizer": ADAM,
        "version": 2,
        "args": ARGUMENTS,
        "metric": 71.5,
    },
    "parallel": lambda state: {"state_dict": prefixed(state, "module.")},
    "compiled": lambda state: prefixed(state, "_orig_mod."),
    "compiled and parallel": lambda state: {"model": prefixed(state, "module._orig_mod.")},
    "Lightning": lambda state: {
        "epoch": 3,
        "pytorch-lightning_version": "2.4.0",
        "state_dict": prefixed(state, "model.") | {"criterion.weight": torch.ones(3)},
        "optimizer_states": [ADAM],
        "hyper_parameters": {"lr": 0.1},
    },
    "Lightning with a compiled model": lambda state: {"state_dict": prefixed(state, "model._orig_mod.")},
    "Lightning with an average": lambda state: {
        "state_dict": OrderedDict(prefixed(other(state), "ema_model.") | prefixed(state, "model."))
    },
    "DeepSpeed": lambda state: {"module": state, "optimizer": None, "global_steps": 7},
    "DINO": lambda state: {
        "student": prefixed(other(state), "module.backbone.") | {"module.head.mlp.0.weight": torch.ones(3, 3)},
        "teacher": prefixed(state, "backbone.")
        | {"head.mlp.0.weight": torch.ones(3, 3), "head.last_layer.weight_g": torch.ones(3)},
        "optimizer": ADAM,
        "dino_loss": {"center": torch.zeros(1, 3)},
        "args": ARGUMENTS,
    },
    "DINOv2": lambda state: {"teacher": prefixed(state, "backbone.") | {"dino_head.mlp.0.weight": torch.ones(3, 3)}},
    "MoCo": lambda state: {
        "state_dict": prefixed(other(state), "module.momentum_encoder.") | prefixed(state, "module.base_encoder."),
        "arch": "vit",
    },
    "MoCo v2": lambda state: {
        "state_dict": prefixed(state, "module.encoder_q.")
        | prefixed(other(state), "module.encoder_k.")
        | {"module.queue": torch.ones(3, 3)}
    },
    "mmpretrain": lambda state: {
        "meta": {"epoch": 3},
        "state_dict": prefixed(state, "backbone.") | {"head.fc.weight": torch.ones(3, 3)},
        "message_hub": {},
    },
    "average in a module": lambda state: {"ema": {"module": state, "decay": 0.99}},
    "segmentation": lambda state: {
        "state_dict": prefixed(state, "net.encoder.") | prefixed({"conv.weight": torch.ones(3)}, "net.decoder.")
    },
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_weights_are_taken_out_of(saved: Saved, embeddings: Embeddings, wrapper: str) -> None:
    model, module = saved("test_vit", num_classes=0)
    assert model.checkpoint is not None
    path = model.checkpoint.with_suffix(".pth")
    torch.save(WRAPPERS[wrapper](dict(module.state_dict())), path)
    assert torch.equal(embeddings(build(replace(model, checkpoint=path)), 160), embeddings(module, 160))


@pytest.mark.parametrize(
    ("wrapper", "message"),
    [
        ("DINO", "'teacher.backbone' is taken, not 'student.module.backbone'; `weights_key` in the zoo file chooses another"),
        ("Lightning with an average", "'state_dict.model' is taken, not 'state_dict.ema_model'; `weights_key` in"),
        ("MoCo", "'state_dict.module.base_encoder' is taken, not 'state_dict.module.momentum_encoder'; `weights_key`"),
        ("Lightning", "weights under 'state_dict.model' of "),
        ("Lightning", "are taken; not used: criterion.weight"),
        ("MAE with its decoder", "not used: mask_token, decoder_pos_embed, decoder_embed.weight"),
    ],
)
def test_log_says_what_is_taken_and_what_is_left(
    saved: Saved, caplog: pytest.LogCaptureFixture, wrapper: str, message: str
) -> None:
    model, module = saved("test_vit", num_classes=0)
    assert model.checkpoint is not None
    path = model.checkpoint.with_suffix(".pth")
    torch.save(WRAPPERS[wrapper](dict(module.state_dict())), path)
    with caplog.at_level(logging.INFO, "itm"):
        build(replace(model, checkpoint=path))
    assert message in caplog.text
