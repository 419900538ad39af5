"""Load weights into modules strictly: every parameter and every stored buffer must come from the file."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from itm.core.errors import ModelError
from itm.zoo.weight_sets import Tensors, is_counter, keep_versions, versions_of

HEADS = ("fc", "head", "classifier", "head_dist", "head.fc")
SHOWN = 5


@dataclass
class Misfit:
    """Names that keep `state` from filling a module."""

    state: Tensors
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    reshaped: list[str] = field(default_factory=list)
    unfilled: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.reshaped or self.unfilled)

    def __len__(self) -> int:
        return len(self.missing) + len(self.unexpected) + len(self.reshaped) + len(self.unfilled)


def required(module: torch.nn.Module) -> Tensors:
    """Return the tensors that a file must have. torch does not require the counters of batch norm."""
    return {name: own for name, own in module.state_dict().items() if not name.endswith("num_batches_tracked")}


def load_state(module: torch.nn.Module, state: Tensors, unused: Iterable[str] = ()) -> Misfit:
    """Copy `state` into `module`, converted to its dtypes, and return what does not fit.

    All floating-point tensors are set to NaN first. A value that no key of the file replaces is found by that, whatever the
    module does in `load_state_dict`. `unused` are modules that the file may have in addition, such as its head.
    """
    own = module.state_dict()
    state = _without_extras(module, state, tuple(f"{name}." for name in unused))
    erase(module)
    try:
        result = module.load_state_dict(state, strict=False)
    except RuntimeError:  # different shapes raise even if strict is False
        missing = [k for k in required(module) if k not in state]
        reshaped = [k for k in own if k in state and own[k].shape != state[k].shape]
        if not reshaped:
            raise
        return Misfit(state, missing, [k for k in state if k not in own], reshaped)
    misfit = Misfit(state, list(result.missing_keys), list(result.unexpected_keys))
    if not misfit:
        misfit.unfilled = [k for k in unfilled(module) if k not in state or not state[k].isnan().any()]
    return misfit


def erase(module: torch.nn.Module) -> None:
    """Set all floating-point parameters and stored buffers to NaN."""
    with torch.no_grad():
        for tensor in _floating(module).values():
            tensor.fill_(float("nan"))


def unfilled(module: torch.nn.Module) -> list[str]:
    """Return the parameters and stored buffers that have NaN values."""
    return [name for name, tensor in _floating(module).items() if tensor.isnan().any()]


def misfit_error(module: torch.nn.Module, misfit: Misfit, path: Path) -> ModelError:
    """Return the error that lists the names that do not fit, with a hint."""
    if misfit.unfilled:
        return ModelError(
            f"{path}: the model does not take {_some(misfit.unfilled)} from the file, so these weights would stay random; "
            "correct `load_state_dict` of its code."
        )
    own, state = module.state_dict(), misfit.state
    parts = []
    if misfit.missing:
        parts.append(f"{len(misfit.missing)} missing in the file: {_some(misfit.missing)}")
    if misfit.unexpected:
        parts.append(f"{len(misfit.unexpected)} unexpected in the file: {_some(misfit.unexpected)}")
    if misfit.reshaped:
        shapes = (f"{k} {list(state[k].shape)} in the file, {list(own[k].shape)} in the model" for k in misfit.reshaped)
        parts.append(f"{len(misfit.reshaped)} with another shape: {_some(shapes)}")
    return ModelError(f"{path}: the weights do not fit the model. Keys {'; '.join(parts)}. {_hint(module, misfit)}")


def _floating(module: torch.nn.Module) -> Tensors:
    tensors = dict(module.named_parameters()) | module.state_dict()
    return {
        name: tensor
        for name, tensor in tensors.items()
        if not isinstance(tensor, torch.nn.UninitializedParameter) and (tensor.is_floating_point() or tensor.is_complex())
    }


def _without_extras(module: torch.nn.Module, state: Tensors, unused: tuple[str, ...]) -> Tensors:
    """Return `state` without counters, unused modules, and buffers that the module computes to the same values."""
    own = module.state_dict()
    computed = {name: buffer for name, buffer in module.named_buffers() if name not in own}

    def is_extra(name: str, tensor: torch.Tensor) -> bool:
        if name in own:
            return False
        if name in computed:
            return torch.equal(computed[name].to(tensor.dtype), tensor)
        return f"{name}.".startswith(unused) or is_counter(tensor)

    kept: Tensors = OrderedDict((name, tensor) for name, tensor in state.items() if not is_extra(name, tensor))
    keep_versions(kept, versions_of(state))
    return kept


def _hint(module: torch.nn.Module, misfit: Misfit) -> str:
    heads = _heads(module)
    in_file = [k for k in (*misfit.unexpected, *misfit.reshaped) if k.rpartition(".")[0] in heads]
    in_model = [k for k in misfit.missing if k.rpartition(".")[0] in heads]
    if len(in_file) + len(in_model) == len(misfit):
        classes = len(misfit.state[in_file[0]]) if in_file else 0
        return f"Only the head differs: set `arguments: {{num_classes: {classes}}}`."
    if channels := _other_channels(module, misfit):
        return f"Only the input channels differ: set `arguments: {{in_chans: {channels}}}`."
    if len(misfit.missing) > len(module.state_dict()) / 2:
        first = ", ".join(sorted({f"{name.partition('.')[0]}." for name in misfit.unexpected})[:SHOWN])
        names = f" Names in the file begin with {first}" if first else ""
        return (
            "Most keys of the model are missing, so the file is probably of another model: check `architecture` or `factory`."
            f"{names}"
        )
    return "Check `arguments` (sizes, widths, options) and `architecture`."


def _other_channels(module: torch.nn.Module, misfit: Misfit) -> int:
    """Return the input channels of the first layer in the file if only this layer differs, else 0."""
    if len(misfit) != 1 or not misfit.reshaped:
        return 0
    name = misfit.reshaped[0]
    in_file, in_model = list(misfit.state[name].shape), list(module.state_dict()[name].shape)
    only_channels = len(in_file) == len(in_model) == 4 and in_file[:1] + in_file[2:] == in_model[:1] + in_model[2:]
    return in_file[1] if only_channels and {in_file[1], in_model[1]} == {1, 3} else 0


def _heads(module: torch.nn.Module) -> set[str]:
    config = getattr(module, "pretrained_cfg", None) or {}
    named = config.get("classifier") or ()
    return {*HEADS, *((named,) if isinstance(named, str) else named)}


def _some(keys: Iterable[str]) -> str:
    names = list(keys)
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
