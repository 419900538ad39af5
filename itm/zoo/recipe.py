"""How to build a candidate with timm, as Python code to copy."""

from typing import Any

from itm.core.types import ModelRef
from itm.zoo.construct import build_on_meta, create_arguments
from itm.zoo.facts import preprocessing_without_weights
from itm.zoo.libraries import scheme_of
from itm.zoo.timm_names import timm_config
from itm.zoo.variant_module import has_tokens

BOTH = "token+mean"


def recipe(model: ModelRef) -> str:
    """Return code that builds a model for fine-tuning and the transform of its images.

    There is none for a factory or another library, and for a file of several weights, of which timm takes others.
    """
    if scheme_of(model.architecture or "") or model.factory is not None or model.architecture is None or model.weights_key:
        return ""
    own = create_arguments(model)
    weights: dict[str, Any] = {"pretrained": True}
    if model.checkpoint is not None and "img_size" in own:  # this way, timm resamples the positions of tokens
        classes = own.get("num_classes", timm_config(model.architecture).get("num_classes", 1000))
        weights |= {"pretrained_cfg_overlay": {"file": model.checkpoint.name, "num_classes": classes}}
    elif model.checkpoint is not None:
        weights = {"checkpoint_path": model.checkpoint.name}
    config = preprocessing_without_weights(model)
    names = ("mean", "std", "interpolation", "crop_pct", "crop_mode")
    values = {name: tuple(value) if isinstance(value := config[name], list) else value for name in names if name in config}
    return "\n".join(
        [
            *(["import timm", "import torch"] if model.pooling == BOTH else ["import timm"]),
            "",
            f"model = timm.create_model({_call(model.architecture, weights | own)})",
            f"transform = timm.data.create_transform({_call(tuple(config['input_size']), values)})",
            *(['transform.transforms.insert(0, lambda image: image.convert("L"))'] if config["input_size"][0] == 1 else []),
            *_variant_lines(model),
        ]
    )


def _call(first: Any, named: dict[str, Any]) -> str:
    return ", ".join([repr(first), *(f"{name}={value!r}" for name, value in named.items())])


def _variant_lines(model: ModelRef) -> list[str]:
    lines = []
    pooling = {"token": ', "token"', "mean": ', "avg"'}.get(model.pooling or "", "")
    if model.block is not None:
        keeps_head = has_tokens(build_on_meta(ModelRef(model.name, model.architecture, arguments=model.arguments)))
        lines.append(f"model.prune_intermediate_layers([{model.block - 1}]{', prune_head=False' if keeps_head else ''})")
        pooling = pooling if keeps_head else ', "avg"'
    if model.pooling == BOTH:
        lines += [
            "tokens = model.forward_features(images)  # a batch of transformed images",
            "parts = tokens[:, 0], tokens[:, model.num_prefix_tokens :].mean(1)",
            "embedding = torch.cat([model.fc_norm(part) for part in parts], 1)  # for a new linear layer",
        ]
    else:
        lines.append(f"model.reset_classifier(NUMBER_OF_CLASSES{pooling})")
    return lines
