"""Masked networks: the live module with some channels taken out, without any layer changing its size.

Every parameter that holds channels of a group is multiplied by the mask along the axes where they lie: what makes them
(rows of weights, biases, scales of a normalization) and what reads them (columns of weights, the state of a recurrent
layer). So a channel whose mask is 0 makes nothing and is read by nothing, whatever the kind of layer, and the network
computes what it computes with these channels cut out. The result is differentiable in the masks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from edgewright.errors import ModelError
from edgewright.graph.channels import ChannelGroup

Masks = Mapping[str, Tensor]
"""For each group, by its name, one number for each of its channels: 1 to keep, 0 to take out, or between. A group
without a mask is kept whole."""


@dataclass(frozen=True)
class Masking:
    """Where the channels of some groups lie in the parameters of a module; made once, used at each step.

    `places` hold for a parameter and one of its axes, for each position on the axis, the index of its channel in all
    masks laid end to end, the last index standing for what is in no group.
    """

    groups: tuple[ChannelGroup, ...]
    places: Mapping[str, Mapping[int, Tensor]]

    @classmethod
    def of(cls, module: nn.Module, groups: Sequence[ChannelGroup]) -> "Masking":
        """Of a module and the groups of its Graph. Raises ModelError where a group is not one of the module."""
        parameters = dict(module.named_parameters(remove_duplicate=False))
        whole = sum(group.width for group in groups)
        places: dict[str, dict[int, Tensor]] = {}
        start = 0
        for group in groups:
            for member in group.members:
                if member.tensor not in parameters:
                    continue
                shape = parameters[member.tensor].shape
                if member.axis >= len(shape):
                    raise ModelError(f"channel group {group.name!r}: {member.tensor!r} has no axis {member.axis}")
                index = places.setdefault(member.tensor, {}).setdefault(
                    member.axis, torch.full((shape[member.axis],), whole)
                )
                channels = torch.arange(group.width)
                for channel in channels.tolist():
                    index[list(member.positions((channel,)))] = start + channel
            start += group.width
        return cls(tuple(groups), places)

    def parameters(self, module: nn.Module, masks: Masks) -> dict[str, Tensor]:
        """The masked parameters by name; those in which no group lies are left out."""
        given = dict(module.named_parameters(remove_duplicate=False))
        like = next(iter(given.values()))
        flat = self._flat(masks, like)
        found = {}
        for name, axes in self.places.items():
            value = given[name]
            for axis, index in axes.items():
                factor = flat[index.to(flat.device)].to(value.dtype)
                value = value * factor.reshape(-1, *(1,) * (value.dim() - axis - 1))
            found[name] = value
        return found

    def apply(self, module: nn.Module, masks: Masks) -> None:
        """Multiplies the parameters of a module by the masks, in place."""
        given = dict(module.named_parameters(remove_duplicate=False))
        with torch.no_grad():
            for name, value in self.parameters(module, masks).items():
                given[name].copy_(value)

    def _flat(self, masks: Masks, like: Tensor) -> Tensor:
        unknown = set(masks) - {group.name for group in self.groups}
        if unknown:
            raise ModelError(f"masks: there is no channel group {min(unknown)!r}")
        parts = []
        for group in self.groups:
            mask = masks.get(group.name)
            if mask is None:
                mask = torch.ones(group.width)
            elif mask.shape != (group.width,):
                raise ModelError(f"masks: {group.name!r} has {group.width} channels, and its mask {tuple(mask.shape)}")
            parts.append(mask.to(like.device, like.dtype if not mask.requires_grad else mask.dtype))
        return torch.cat([*parts, torch.ones(1, device=like.device)])

    def call(self, module: nn.Module, masks: Masks, *inputs: Any) -> Any:
        """What the masked module gives for these inputs."""
        return torch.func.functional_call(module, self.parameters(module, masks), inputs)

    def loss(self, module: nn.Module, masks: Masks, loss: Callable[[nn.Module, Any], Tensor], batch: Any) -> Tensor:
        """`loss(module, batch)` where the module is masked; gradients reach its parameters and the masks."""
        inner = {f"inner.{name}": value for name, value in self.parameters(module, masks).items()}
        found: Tensor = torch.func.functional_call(_Inner(module, loss), inner, (batch,))
        return found


class _Inner(nn.Module):
    """Makes any function of a module one that its parameters can be replaced in."""

    def __init__(self, inner: nn.Module, function: Callable[[nn.Module, Any], Tensor]) -> None:
        super().__init__()
        self.inner, self.function = inner, function
        self.training = inner.training

    def forward(self, batch: Any) -> Tensor:
        return self.function(self.inner, batch)


def masked_call(module: nn.Module, groups: Sequence[ChannelGroup], masks: Masks, *inputs: Any) -> Any:
    """What a module gives with the channels of its groups masked; see `Masking` where this is done many times.

    `masks` hold for the name of a group a tensor of its width. Raises ModelError where they do not fit.
    """
    return Masking.of(module, groups).call(module, masks, *inputs)


def apply_masks(module: nn.Module, groups: Sequence[ChannelGroup], masks: Masks) -> None:
    """Multiplies the parameters of a module by the masks, in place; see `Masking` where this is done many times."""
    Masking.of(module, groups).apply(module, masks)


def masks_that_keep(groups: Sequence[ChannelGroup], kept: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    """Of each group that is named a mask of ones for the channels that are kept, and of zeros for the others."""
    masks = {group.name: torch.zeros(group.width) for group in groups if group.name in kept}
    for name, mask in masks.items():
        mask[list(kept[name])] = 1
    return masks
