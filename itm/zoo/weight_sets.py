"""The sets of weights in the content of a file, and the prefixes of their names.

Training scripts store weights under a key, beside other things, and with a prefix: `{"epoch": 3, "state_dict":
{"module.model.conv.weight": ...}}`. Some files have several sets, such as the weights and their average. `WeightSets` returns
those that fit a model, without wrappers and prefixes.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

Tensors = dict[str, torch.Tensor]
WRAPPER_MODULES = {"module", "_orig_mod", "_forward_module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
DECODERS = ("decoder_", "decoder.", "mask_token")  # of masked pre-training, beside the names of the model
LOWER_RANK = ("student", "momentum", "encoder_k", "optim")  # what training scripts do not use afterwards


@dataclass(frozen=True, eq=False)
class WeightSet:
    """Tensors by name. `key` is their place in the file, `others` are names beside them that do not have their prefix."""

    key: str
    tensors: Tensors
    others: tuple[str, ...] = ()


class WeightSets:
    """The sets of weights in a file.

    `chosen` is the key of the zoo file that names one of them. Without it, averages come last, or first if `averages_first`.
    """

    def __init__(self, content: Any, chosen: str | None = None, averages_first: bool = False) -> None:
        self.found = dict(_nested(content, ""))
        self.averages_first = averages_first
        if chosen is not None:
            self.found = dict(_chosen(self.found, f"{chosen}."))

    def fitting(self, wanted: Tensors) -> list[WeightSet]:
        """Return the sets with all names and shapes of `wanted` under a common prefix, which is removed."""
        anchor = max(wanted, key=len, default="")
        found: dict[int, WeightSet] = {}
        for key, tensors in self._variants():
            for prefix in [name.removesuffix(anchor) for name in tensors if f".{name}".endswith(f".{anchor}")]:
                if all((own := tensors.get(prefix + name)) is not None and own.shape == w.shape for name, w in wanted.items()):
                    inner = without_prefix(tensors, prefix)
                    others = tuple(name for name in tensors if not name.startswith(prefix))
                    decoder = [name for name in inner if name.startswith(DECODERS) and name not in wanted]
                    if decoder:
                        inner, others = _without(inner, decoder), (*others, *(prefix + name for name in decoder))
                    found.setdefault(id(inner[anchor]), WeightSet(f"{key}.{prefix}".strip("."), inner, others))
        return sorted(found.values(), key=self._rank)

    def whole(self) -> list[WeightSet]:
        """Return all sets, and all without the first parts of their names that are common to all names."""
        found = []
        for key, tensors in self._variants():
            own = WeightSet(key, tensors)
            found.append(own)
            while stripped := _without_first_part(own.tensors):
                prefix, inner = stripped
                own = WeightSet(f"{own.key}.{prefix}".strip("."), inner)
                found.append(own)
        return sorted(found, key=self._rank)

    def _variants(self) -> Iterator[tuple[str, Tensors]]:
        """Yield each set as it is, and without the names of wrapper modules inside its names."""
        for key, tensors in self.found.items():
            yield key, tensors
            clean = _renamed(tensors, lambda name: ".".join(part for part in name.split(".") if part not in WRAPPER_MODULES))
            if clean.keys() != tensors.keys() and len(clean) == len(tensors):
                yield key, clean

    def _rank(self, own: WeightSet) -> tuple[bool, bool]:
        key = own.key.lower()
        average = "ema" in key or "averag" in key
        return any(word in key for word in LOWER_RANK), average is not self.averages_first


def _nested(content: Any, key: str) -> Iterator[tuple[str, Tensors]]:
    if not isinstance(content, Mapping) or not all(isinstance(name, str) for name in content):
        return
    tensors: Tensors = OrderedDict((name, own) for name, value in content.items() if (own := _tensor(value)) is not None)
    keep_versions(tensors, getattr(content, "_metadata", None))
    if tensors:
        yield key, tensors
    for name, value in content.items():
        yield from _nested(value, f"{key}.{name}" if key else name)


def _tensor(value: Any) -> torch.Tensor | None:
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        return torch.from_numpy(np.ascontiguousarray(value)).reshape(value.shape)
    return value.detach() if isinstance(value, torch.Tensor) else None


def _without_first_part(tensors: Tensors) -> tuple[str, Tensors] | None:
    """Return the first part of the names and the tensors without it, if all names have it. Counters have no prefix."""
    named = {name: own for name, own in tensors.items() if not is_counter(own)} or tensors
    parts = {name.partition(".")[0] for name in named}
    if len(parts) != 1 or not all("." in name for name in named):
        return None
    prefix = parts.pop()
    return prefix, without_prefix(tensors, f"{prefix}.")


def _chosen(found: Mapping[str, Tensors], chosen: str) -> Iterator[tuple[str, Tensors]]:
    """Yield the sets under a key, and the parts of sets whose names begin with it."""
    for key, tensors in found.items():
        if f"{key}.".startswith(chosen):
            yield key, tensors
        elif not key or chosen.startswith(f"{key}."):
            inner = without_prefix(tensors, chosen.removeprefix(f"{key}.") if key else chosen)
            if inner:
                yield chosen[:-1], inner


def _renamed(tensors: Tensors, rename: Callable[[str], str | None]) -> Tensors:
    """Return tensors and versions of modules under their new names, without those whose new name is None."""
    found: Tensors = OrderedDict((new, own) for name, own in tensors.items() if (new := rename(name)) is not None)
    versions = versions_of(tensors) or {}
    new_names = {module: rename(f"{module}." if module else "") for module in versions}
    keep_versions(found, {new.rstrip("."): versions[module] for module, new in new_names.items() if new is not None})
    return found


def _without(tensors: Tensors, names: Collection[str]) -> Tensors:
    return _renamed(tensors, lambda name: None if name in names else name)


def without_prefix(tensors: Tensors, prefix: str) -> Tensors:
    """Return the tensors whose names have a prefix, without it."""
    return _renamed(tensors, lambda name: name.removeprefix(prefix) if name.startswith(prefix) else None)


def versions_of(tensors: Tensors) -> Any:
    """Return the versions of modules that torch stores with a state dict. Some modules cannot load without them."""
    return getattr(tensors, "_metadata", None)


def keep_versions(tensors: Tensors, versions: Any) -> None:
    """Store versions of modules with a state dict."""
    if versions and isinstance(tensors, OrderedDict):
        vars(tensors)["_metadata"] = versions


def is_counter(tensor: torch.Tensor) -> bool:
    """Return whether a tensor is one integer, such as a number of steps."""
    return tensor.ndim == 0 and not tensor.is_floating_point()
