"""timm's conversions of weights, without its loading.

timm converts weights while it loads them: from other names, versions, image sizes and numbers of channels. But it accepts
files that leave weights random. Here it converts, and `itm.zoo.state` loads and checks.
"""

import threading
from collections.abc import Callable
from typing import Any

import torch

from itm.core.errors import ModelError
from itm.zoo.timm_gate import timm
from itm.zoo.weight_sets import Tensors

_builder: Any = timm.models._builder  # timm has no public way to convert weights without loading them
_timm_load = _builder.load_pretrained
_recording = threading.local()


class Conversion:
    """How timm converts weights for the models that `build` returns."""

    def __init__(self) -> None:
        self.calls: list[tuple[torch.nn.Module, dict[str, Any]]] = []

    def build(self, **arguments: Any) -> torch.nn.Module:
        """Return the model of `timm.create_model` as timm builds it for pre-trained weights, but without weights."""
        _recording.calls = self.calls
        try:
            module: torch.nn.Module = timm.create_model(**arguments, pretrained=True)
        finally:
            _recording.calls = None
        if not self.calls:
            name = arguments["model_name"]
            raise ModelError(f"timm {timm.__version__} does not load weights of {name} as itm expects; use a `factory`.")
        return module

    @property
    def is_strict(self) -> bool:
        """Return whether timm itself expects all weights of a file to fit."""
        return bool(self.calls[-1][1].get("strict", True))

    def filtered(self, module: torch.nn.Module, tensors: Tensors) -> Tensors:
        """Return the tensors under the names and shapes of this version of timm."""
        convert: Callable[..., Tensors] | None = self.calls[-1][1].get("filter_fn")
        if convert is None:
            return dict(tensors)
        try:
            return convert(dict(tensors), module)
        except TypeError:  # some take one argument
            return convert(dict(tensors))

    def converted(self, tensors: Tensors) -> Tensors:
        """Return the tensors as timm would load them: filtered, with its channels and without a head of other classes."""
        module, call = self.calls[-1]
        found: list[Tensors] = []

        def keep(state: Tensors, **_: bool) -> Any:
            found.append(dict(state))
            return torch.nn.modules.module._IncompatibleKeys([], [])

        module.load_state_dict = keep  # type: ignore[method-assign,assignment]
        try:
            _timm_load(module, **call | {"pretrained_cfg": call["pretrained_cfg"] | {"state_dict": dict(tensors)}})
        finally:
            del module.load_state_dict
        return found[-1]


def _record_or_load(model: torch.nn.Module, pretrained_cfg: Any = None, *arguments: Any, **options: Any) -> None:
    calls = getattr(_recording, "calls", None)
    if calls is None:
        _timm_load(model, pretrained_cfg, *arguments, **options)
    else:
        calls.append((model, options | {"pretrained_cfg": pretrained_cfg}))


_builder.load_pretrained = _record_or_load
