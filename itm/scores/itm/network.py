"""The map W_z from features to Theta and the head on evolved embeddings, in several lanes at once, with gradients written out.

A lane is one split of one sample; the leading axis L of every tensor counts them. Parameters are laid out as torch.nn.Linear
has them, [L, out, in] and [L, 1, out]: hidden blocks D -> D, the map D -> K whose unit rows are Theta, the head K -> C.
"""

import torch

from itm.scores.itm.centres import Centres
from itm.scores.itm.evolution import Evolution, unit_rows, unit_rows_backward

Tensor = torch.Tensor


class Network:
    """Parameters of all lanes in pairs of weight and bias, and `gradient`, where a batch leaves theirs."""

    def __init__(self, parameters: list[Tensor], gradient: list[Tensor], evolution: Evolution) -> None:
        self.parameters, self.gradient, self.evolution = parameters, gradient, evolution

    def lanes(self, own: slice) -> "Network":
        """Return some lanes, their parameters shared with this network."""
        return Network([p[own] for p in self.parameters], [g[own] for g in self.gradient], self.evolution)

    @property
    def head(self) -> tuple[Tensor, Tensor]:
        """Return weight and bias of the head."""
        return self.parameters[-2], self.parameters[-1]

    def theta(self, x: Tensor) -> Tensor:
        """Return Theta [L, B, K] of features x [L, B, D]."""
        return self._start(x)[0]

    def differentiate(self, x: Tensor, labels: Tensor, centres: Centres) -> Tensor:
        """Put the gradients of a batch's mean cross-entropy into `gradient`; return the probability [L, B] of each row's class.

        x is [L, B, D], labels [L, B]. The kernel of the evolution and the centres are constants.
        """
        head, offset = self.head
        theta, norm, inputs = self._start(x)
        evolved, kept = self.evolution.forward(theta, centres.of(labels, theta))
        gradient = torch.baddbmm(offset, evolved, head.transpose(1, 2)).softmax(dim=2)  # p; dL / dlogits = (p - one_hot) / B
        chosen = labels[..., None]
        given = gradient.gather(2, chosen)[..., 0]
        gradient.scatter_add_(2, chosen, gradient.new_full(chosen.shape, -1.0)).div_(labels.shape[1])
        self._linear(-1, gradient, evolved)
        gradient = unit_rows_backward(theta, norm, self.evolution.backward(theta, torch.bmm(gradient, head), kept))
        self._linear(-2, gradient, inputs[-1])
        for depth in range(len(inputs) - 1, 0, -1):
            gradient = torch.bmm(gradient, self.parameters[2 * depth]).mul_(inputs[depth] > 0)
            self._linear(depth - 1, gradient, inputs[depth - 1])
        return given

    def _start(self, x: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return Theta, the lengths its rows had, and the input of the map and of every hidden block before it."""
        inputs = [x]
        for weight, bias in zip(self.parameters[:-4:2], self.parameters[1:-4:2], strict=True):
            inputs.append(torch.baddbmm(bias, inputs[-1], weight.transpose(1, 2)).relu_())
        turned = torch.bmm(self.parameters[-4], inputs[-1].transpose(1, 2)).transpose(1, 2)  # a tenth faster in this order
        raw = torch.add(turned, self.parameters[-3], out=torch.empty(turned.shape, device=x.device, dtype=x.dtype))
        theta, norm = unit_rows(raw)
        return theta, norm, inputs

    def _linear(self, layer: int, gradient: Tensor, inputs: Tensor) -> None:
        """Fill the gradients of one layer's weight and bias from that of its outputs."""
        torch.bmm(gradient.transpose(1, 2), inputs, out=self.gradient[2 * layer])
        torch.sum(gradient, dim=1, keepdim=True, out=self.gradient[2 * layer + 1])
