"""DeepIoT's compressor: a recurrent network that reads a network's parameters and says which units to keep.

Yao et al., DeepIoT, SenSys 2017, arXiv 1706.01215. For each layer a learned row and a learned matrix map its weights to
a vector of fixed size, an LSTM goes over these vectors from layer to layer, and a learned linear map and a sigmoid give
the probability with which each unit of the layer is kept. Here a layer is a channel group: all parameters that its
channels lie on are its weights, whether the layers that own them are fully connected, convolutional or recurrent.
"""

from collections.abc import Mapping, Sequence
from math import log

import torch
from torch import Tensor, nn

from edgewright.graph.channels import ChannelGroup, Member

SIZE = 32
"""Items of the vectors that the compressor reads and of its hidden state."""
_LEAST_SPREAD = 1e-6


def unit_weights(groups: Sequence[ChannelGroup], parameters: Mapping[str, Tensor]) -> list[Tensor]:
    """For each group a matrix (units, weights of a unit); the share of each parameter has a mean square of 1."""
    return [
        torch.cat(
            [
                _scaled(_by_unit(member, group.width, parameters[member.tensor]))
                for member in group.members
                if member.tensor in parameters
            ],
            dim=1,
        )
        for group in groups
    ]


def _by_unit(member: Member, width: int, parameter: Tensor) -> Tensor:
    """The items of a parameter that belong to each unit of a group: (units, items)."""
    positions = torch.tensor(member.positions(range(width)), device=parameter.device)
    places = parameter.detach().movedim(member.axis, 0)[positions].float().cpu()
    return places.reshape(member.repeats, width, -1).movedim(1, 0).reshape(width, -1)


def _scaled(weights: Tensor) -> Tensor:
    return weights / weights.square().mean().sqrt().clamp_min(_LEAST_SPREAD)


class Compressor(nn.Module):
    """The logit of the probability of keeping each unit, for units of these groups in order: shape (units,).

    `weights` are those of `unit_weights`; they say the sizes alone. At first about each unit is kept with the
    probability `start`.
    """

    def __init__(self, weights: Sequence[Tensor], start: float, size: int = SIZE) -> None:
        super().__init__()
        self.rows = nn.ParameterList(torch.randn(one.shape[1]) * (2 / (1 + one.shape[1])) ** 0.5 for one in weights)
        self.columns = nn.ParameterList(torch.randn(len(one), size) * (2 / (len(one) + size)) ** 0.5 for one in weights)
        self.over_layers = nn.LSTM(size, size)
        units = sum(len(one) for one in weights)
        self.back = nn.Parameter(torch.randn(units, size) * (2 / (units / max(len(weights), 1) + size)) ** 0.5)
        self.start = nn.Parameter(torch.full((units,), log(start / (1 - start))))
        layer_of = [layer for layer, one in enumerate(weights) for _ in range(len(one))]
        self.register_buffer("layer_of", torch.tensor(layer_of), persistent=False)

    def forward(self, weights: Sequence[Tensor]) -> Tensor:
        read = [(one @ row) @ column for one, row, column in zip(weights, self.rows, self.columns, strict=True)]
        hidden, _ = self.over_layers(torch.stack(read))
        return (hidden[self.layer_of] * self.back).sum(dim=1) + self.start
