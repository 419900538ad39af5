"""Classification models of torchvision: ``torchvision:NAME`` or ``torchvision:NAME.WEIGHTS``.

The embedding is the input of the last linear layer.
"""

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from torch import nn

from itm.core.errors import ModelError, did_you_mean
from itm.zoo.downloads import url_file
from itm.zoo.libraries.base import Arguments, Embedder, Library, Settings
from itm.zoo.names import is_wildcard, same_names
from itm.zoo.timm_gate import import_torchvision
from itm.zoo.weight_cache import cached_file
from itm.zoo.weight_sets import Tensors

models: Any = import_torchvision().models
# What torchvision sets itself for its own weights. Outputs for training only and slow random weights are left out.
OPTIONS = {"transform_input": True, "init_weights": False, "aux_logits": False}
ARCHITECTURE_OPTIONS = {
    "googlenet": ("transform_input", "init_weights", "aux_logits"),
    "inception": ("transform_input", "init_weights", "aux_logits"),
    "maxvit": ("input_size",),
    "vit": ("image_size",),
}
OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.(\d\.)")


class TorchvisionModels(Library):
    scheme = package = "torchvision"
    unused = frozenset({"AuxLogits", "aux1", "aux2"})

    def names(self, pattern: str) -> list[str]:
        place = self.place(pattern)
        known = models.list_models(module=models)
        architecture, _, tag = place.partition(".")
        if is_wildcard(place):
            every = [name for known_name in known for name in self._all(known_name)]
            whole = [name for name in every if fnmatchcase(self.place(name), place)] if tag else []
            if not (found := whole or [self._whole(name) for name in known if fnmatchcase(name, architecture)]):
                raise ModelError(f"no classification model of torchvision matches {place!r}{did_you_mean(architecture, known)}")
            return found
        if architecture not in known:
            same = same_names(architecture, known)
            near = f"; did you mean {same[0]!r}?" if same else did_you_mean(architecture, known)
            raise ModelError(f"torchvision has no classification model {architecture!r}{near}")
        if not tag:
            return [self._whole(architecture)]
        tags = {weights.name: weights for weights in models.get_model_weights(architecture)} | {"DEFAULT": None}
        if tag not in tags:
            raise ModelError(f"torchvision has no weights {tag!r} for {architecture}{did_you_mean(tag, tags)}")
        return [self._whole(architecture)] if tag == "DEFAULT" else [f"{self.scheme}:{place}"]

    def settings(self, name: str) -> Settings:
        weights = self._weights(name)
        preset = weights.transforms()
        (crop,), (resize,) = preset.crop_size, preset.resize_size
        preprocessing = {
            "input_size": [3, crop, crop],
            "crop_pct": crop / resize,
            "crop_mode": "center",
            "interpolation": preset.interpolation.value,
            "mean": list(preset.mean),
            "std": list(preset.std),
            "num_classes": len(weights.meta["categories"]),
        }
        return Settings(preprocessing, self.place(name), weights.name)

    def weight_file(self, name: str) -> Path:
        return url_file(name, self._weights(name).url)

    def cached_weights(self, name: str) -> Path | None:
        return cached_file(None, None, self._weights(name).url)

    def build(self, name: str, arguments: Arguments) -> nn.Module:
        architecture = self.place(name).partition(".")[0]
        preprocessing = self.settings(name).preprocessing
        side = preprocessing["input_size"][-1]
        taken = ARCHITECTURE_OPTIONS.get(architecture.partition("_")[0], ())
        sizes = {"image_size": side, "input_size": (side, side)}
        own = {"num_classes": preprocessing["num_classes"]} | {option: (OPTIONS | sizes)[option] for option in taken}
        module: nn.Module = models.get_model_builder(architecture)(weights=None, **own | dict(arguments))
        return module

    def embedder(self, module: nn.Module) -> Embedder:
        place, classifier = _last_linear(module)
        parent, _, attribute = place.rpartition(".")
        setattr(module.get_submodule(parent), attribute, nn.Identity())  # also for the numbered parts of nn.Sequential
        return Embedder(module, classifier)

    def converted(self, module: nn.Module, tensors: Tensors) -> Tensors:  # noqa: ARG002
        return {OLD_DENSENET.sub(r"\1\2", name): own for name, own in tensors.items()}

    def _all(self, architecture: str) -> list[str]:
        return [f"{self.scheme}:{architecture}.{weights.name}" for weights in models.get_model_weights(architecture)]

    def _whole(self, architecture: str) -> str:
        return f"{self.scheme}:{architecture}.{models.get_model_weights(architecture).DEFAULT.name}"

    def _weights(self, name: str) -> Any:
        architecture, _, tag = self.place(name).partition(".")
        return models.get_model_weights(architecture)[tag or "DEFAULT"]


def _last_linear(module: nn.Module) -> tuple[str, nn.Linear]:
    """Return the last linear layer of a model with its name. Its input is the embedding."""
    layers = [(name, part) for name, part in module.named_modules() if isinstance(part, nn.Linear)]
    if not layers:
        raise ModelError(f"{type(module).__name__} of torchvision has no linear layer, so it has no embedding before one.")
    return layers[-1]


LIBRARY = TorchvisionModels()
