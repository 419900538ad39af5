"""The map W_z from features to Theta and the head on evolved embeddings, in several lanes at once, with explicit gradients.

A lane is one fold of one sample; the leading axis L of every tensor is that of the lanes. Parameters have the layout of
torch.nn.Linear, [L, out, in] and [L, 1, out]: hidden blocks D -> D, the map D -> K whose unit rows are Theta, the head K -> C.
"""

import torch

from itm.scores.itm.centres import Centres
from itm.scores.itm.evolution import Evolution, unit_rows, unit_rows_backward
from itm.scores.itm.targets import TARGETS, Targets

Tensor = torch.Tensor
CLASSES = TARGETS["classification"]


class Network:
    """Parameters of all lanes in pairs of weight and bias, and `gradient`, the same for their gradients."""

    def __init__(
        self, parameters: list[Tensor], gradient: list[Tensor], evolution: Evolution, targets: Targets = CLASSES
    ) -> None:
        self.parameters, self.gradient, self.evolution, self.targets = parameters, gradient, evolution, targets

    def lanes(self, own: slice) -> "Network":
        """Return some lanes; they share their parameters with this network."""
        return Network([p[own] for p in self.parameters], [g[own] for g in self.gradient], self.evolution, self.targets)

    @property
    def head(self) -> tuple[Tensor, Tensor]:
        return self.parameters[-2], self.parameters[-1]

    def theta(self, x: Tensor) -> Tensor:
        """Return Theta [L, B, K] of features x [L, B, D]."""
        return self._start(x)[0]

    def differentiate(self, x: Tensor, labels: Tensor, centres: Centres) -> Tensor:
        """Write the gradients of the mean loss of a batch; for classes, return the probability [L, B] of each row's class.

        x is [L, B, D], and labels are [L, B] or [L, B, T]. The kernel of the evolution and the centres count as constants.
        """
        head, offset = self.head
        theta, norm, inputs = self._start(x)
        evolved, kept = self.evolution.forward(theta, centres.of(labels, theta))
        gradient, probability = self.targets.differentiate(torch.baddbmm(offset, evolved, head.transpose(1, 2)), labels)
        self._linear(-1, gradient, evolved)
        gradient = unit_rows_backward(theta, norm, self.evolution.backward(theta, torch.bmm(gradient, head), kept))
        self._linear(-2, gradient, inputs[-1])
        for depth in range(len(inputs) - 1, 0, -1):
            gradient = torch.bmm(gradient, self.parameters[2 * depth]).mul_(inputs[depth] > 0)
            self._linear(depth - 1, gradient, inputs[depth - 1])
        return probability

    def _start(self, x: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return Theta, the lengths of its rows before scaling, and the inputs of the hidden blocks and of the map."""
        inputs = [x]
        for weight, bias in zip(self.parameters[:-4:2], self.parameters[1:-4:2], strict=True):
            inputs.append(torch.baddbmm(bias, inputs[-1], weight.transpose(1, 2)).relu_())
        turned = torch.bmm(self.parameters[-4], inputs[-1].transpose(1, 2)).transpose(1, 2)  # 10 % faster in this order
        raw = torch.add(turned, self.parameters[-3], out=torch.empty(turned.shape, device=x.device, dtype=x.dtype))
        theta, norm = unit_rows(raw)
        return theta, norm, inputs

    def _linear(self, layer: int, gradient: Tensor, inputs: Tensor) -> None:
        """Write the gradients by the weight and bias of one layer, from that by its outputs."""
        torch.bmm(gradient.transpose(1, 2), inputs, out=self.gradient[2 * layer])
        torch.sum(gradient, dim=1, keepdim=True, out=self.gradient[2 * layer + 1])
