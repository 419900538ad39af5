"""The module of a chosen model, and the model of timm that computes the same."""

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from itm.core.errors import ModelError
from itm.core.types import ModelRef
from itm.export.choice import Choice
from itm.finetuning.weights import read_state
from itm.zoo import load
from itm.zoo.construct import build_on_meta
from itm.zoo.timm_gate import timm
from itm.zoo.variant_module import has_tokens, plain

BOTH = "token+mean"
ORIGIN = ("tag", "license", "origin_url", "paper_ids", "paper_name", "notes")  # facts of timm's own weights
Call = tuple[str, tuple[Any, ...], dict[str, Any]]  # a method with its arguments


class Output(nn.Module):
    """A backbone and a head on its embeddings: the identity, or the classifier of fine-tuning."""

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return embeddings [n, width] or logits [n, classes] of inputs [n, channels, height, width]."""
        backbone: Any = self.backbone
        output: torch.Tensor = self.head(backbone.forward_head(backbone.forward_features(images), pre_logits=True))
        return output


def output_module(choice: Choice) -> Output:
    """Return the chosen model with its fine-tuned weights, or else with those that were ranked."""
    backbone = load.build(choice.model)
    if choice.finetuned is None:
        return Output(backbone, nn.Identity()).eval()
    state = read_state(choice.weights)
    outputs, width = state["head.weight"].shape
    module = Output(backbone, nn.Linear(width, outputs))
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(f"{choice.weights}: is not of {choice.model.name}; fine-tune again with --resume always.") from error
    return module.eval()


@dataclass(frozen=True)
class TimmForm:
    """A way to load a model with timm.

    `calls` turn the model of `config.json` into that of `module`, whose state is saved. If `wraps` is true, it returns the
    embedding, and `head` is the classifier on it. Otherwise the classifier is part of it.
    """

    module: nn.Module
    calls: tuple[Call, ...]
    wraps: bool
    head: nn.Linear | None = None


def timm_forms(choice: Choice, own: Output) -> Iterator[TimmForm]:
    """Yield the ways to load the model with timm, the most natural first. Whether one works is known once it is tried."""
    model, head = choice.model, own.head if isinstance(own.head, nn.Linear) else None
    if model.pooling != BOTH:
        outputs = head.out_features if head else 0
        module, calls = _shaped(model, own.backbone, outputs)
        if head is None or _fill(module.get_classifier(), head):
            yield TimmForm(module, calls, wraps=False)
    module, calls = _shaped(model, own.backbone, 0)
    yield TimmForm(module, calls, wraps=True, head=head)


def check_is_timm(model: ModelRef) -> None:
    """Raise a `ModelError` if timm does not have the architecture, so that timm alone cannot load the model."""
    if model.factory is not None:
        reason = f"it is built by your own code ({model.factory})"
    elif model.architecture is None or not timm.is_model(model.architecture.partition(".")[0]):
        reason = f"its architecture is not one of timm ({model.architecture})"
    else:
        return
    raise ModelError(
        f"{model.name}: cannot be exported, because {reason}, and the folder must load with timm alone. In Python, "
        "`itm.load_recommended` loads it; --model exports another model."
    )


def write_config(choice: Choice, form: TimmForm, preprocessing: dict[str, Any], path: Path) -> None:
    """Write timm's `config.json` for the model before the calls of `form`."""
    shape: Any = build_on_meta(replace(choice.model, block=None, pooling=None))
    labels = [] if form.wraps else [*choice.labels]
    shape.reset_classifier(len(labels))
    more = {"label_names": labels} if labels else {}
    hub: Any = timm.models._hub  # its public functions write the weights, too
    hub.save_config_for_hf(shape, str(path), model_config=more, data_config=preprocessing)
    config = json.loads(path.read_text(encoding="utf-8"))
    if not choice.model.pretrained or choice.model.checkpoint is not None:
        config["pretrained_cfg"] = {key: value for key, value in config["pretrained_cfg"].items() if key not in ORIGIN}
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _shaped(model: ModelRef, backbone: nn.Module, outputs: int) -> tuple[Any, tuple[Call, ...]]:
    """Return a copy of the timm model in `backbone` with `outputs` outputs, and the calls that shape it."""
    module: Any = copy.deepcopy(plain(backbone))
    calls: list[Call] = []
    pooling = {"token": ("token",), "mean": ("avg",)}.get(model.pooling or "", ())
    if model.block is not None:
        keeps_head = has_tokens(module)
        calls.append(("prune_intermediate_layers", ([model.block - 1],), {"prune_head": not keeps_head}))
        pooling = pooling if keeps_head else ("avg",)
    reset: Call = ("reset_classifier", (outputs, *pooling), {})
    module.reset_classifier(*reset[1])
    return module.eval(), (*calls, reset) if calls or pooling else ()


def _fill(classifier: object, head: nn.Linear) -> bool:
    """Copy a head into the classifier of a model, and return whether it fits."""
    if not isinstance(classifier, nn.Linear) or classifier.bias is None or classifier.weight.shape != head.weight.shape:
        return False
    classifier.load_state_dict(head.state_dict())
    return True
