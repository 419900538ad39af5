"""Low-rank adapters of linear layers: Hu et al., "LoRA: Low-rank adaptation of large language models", ICLR 2022.

The output of a linear layer gets the term ``ALPHA / RANK * B @ A @ input``. Only A and B are trained. B starts at zero, so the
model starts from the checkpoint. Afterwards the product is added to the weight, and the model is a plain one again.
"""

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

Tensor = torch.Tensor
State = dict[str, Tensor]

RANK, ALPHA = 8, 16.0
PREFIX = "adapters."  # of the names of A and B among the tensors of a network
_IN_BLOCK = re.compile(r"\.\d+\.")  # blocks are numbered; classifiers and stems are not


def linear_layers(module: nn.Module) -> dict[str, nn.Linear]:
    """Return the linear layers in numbered blocks, by name."""
    return {
        name: layer for name, layer in module.named_modules() if isinstance(layer, nn.Linear) and _IN_BLOCK.search(f".{name}")
    }


@dataclass
class Switch:
    """Whether adapters have an effect."""

    is_on: bool = True


def _hook(switch: Switch, a: Tensor, b: Tensor) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
    """Return a hook of a linear layer. It does not hold the adapters: a cycle would keep the memory of the layers."""

    def adapted(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if not switch.is_on:
            return output
        return output + ALPHA / RANK * functional.linear(functional.linear(inputs[0], a), b)

    return adapted


class Adapters:
    """The adapters of all linear layers in the blocks of the `backbone` of a network.

    Some models use the weight of a layer without calling the layer. Its adapter stays at zero, which is correct and has no
    effect.
    """

    def __init__(self, network: nn.Module, seed: int) -> None:
        self.layers = linear_layers(network)
        self.factors: dict[str, tuple[nn.Parameter, nn.Parameter]] = {}
        generator = torch.Generator().manual_seed(seed)
        for name, layer in self.layers.items():
            bound = 1 / math.sqrt(layer.in_features)
            drawn = torch.empty(RANK, layer.in_features).uniform_(-bound, bound, generator=generator)
            zero = torch.zeros(layer.out_features, RANK)
            self.factors[name] = nn.Parameter(drawn.to(layer.weight)), nn.Parameter(zero.to(layer.weight))
        self._switch = Switch()
        hooks = {name: _hook(self._switch, *pair) for name, pair in self.factors.items()}
        self._hooks = [layer.register_forward_hook(hooks[name]) for name, layer in self.layers.items()]

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Return all A and B."""
        return [factor for pair in self.factors.values() for factor in pair]

    def state(self) -> State:
        """Return all A and B by name."""
        pairs = self.factors.items()
        return {f"{PREFIX}{name}.{word}": factor for name, pair in pairs for word, factor in zip("ab", pair, strict=True)}

    def take(self, state: State) -> None:
        """Load all A and B, and remove them from `state`."""
        with torch.no_grad():
            for name, factor in self.state().items():
                factor.copy_(state.pop(name))

    def merged_state(self, state: State) -> State:
        """Return the state of the network without adapters whose outputs are those of `state` with adapters."""
        return state | {f"{name}.weight": state[f"{name}.weight"] + self._difference(name) for name in self.layers}

    @contextmanager
    def plain(self, merge: bool) -> Iterator[None]:
        """Switch the adapters off, with their product added to the weights if `merge`."""
        before = {name: layer.weight.detach().clone() for name, layer in self.layers.items()} if merge else {}
        self._switch.is_on = False
        try:
            with torch.no_grad():
                for name in before:
                    self.layers[name].weight.add_(self._difference(name))
            yield
        finally:
            self._switch.is_on = True
            with torch.no_grad():
                for name, weight in before.items():
                    self.layers[name].weight.copy_(weight)

    def remove(self) -> None:
        """Leave the network without adapters."""
        for hook in self._hooks:
            hook.remove()

    def _difference(self, name: str) -> Tensor:
        a, b = self.factors[name]
        return ALPHA / RANK * (b.detach() @ a.detach())
