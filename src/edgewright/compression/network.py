"""A module that is being narrowed: its Graph and groups now, and which of its first channels are left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from edgewright.errors import ModelError, UnsupportedModelError
from edgewright.formats.torch import Reading, apply_widths, changeable_groups, understand
from edgewright.formats.torch.storage import Storage, pieces_of
from edgewright.graph.channel_groups import find_groups
from edgewright.graph.channels import ChannelGroup
from edgewright.graph.width_edits import SetWidth
from edgewright.widths.plan import WidthPlan

NEW = -1
Channels = tuple[tuple[int, ...], ...]
"""For each group of the network as it was given, the channels that are left of it, and NEW for each that was added."""


@dataclass(frozen=True)
class Network:
    """A module, an example of what it reads, what it was read as, and its groups.

    `stored` are the same groups with their members in the module's own parameters and buffers, `first` the groups of
    the network as it was given, and `channels` what is left of these. `refused` tells of the groups that keep their
    width why the module's code does not let them change.
    """

    module: nn.Module
    example: tuple[Any, ...]
    reading: Reading
    groups: tuple[ChannelGroup, ...]
    stored: tuple[ChannelGroup, ...]
    first: tuple[ChannelGroup, ...]
    channels: Channels
    refused: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, module: nn.Module, example: tuple[Any, ...]) -> "Network":
        """A network as it is given. Raises ModelError where it can't be read, UnsupportedModelError where it has no
        channels that could go."""
        reading = understand(module, example)
        usable, refused = changeable_groups(module, example, reading)
        groups = _lying_in_parameters(usable, reading.storage)
        if not groups:
            why = f": {next(iter(refused.values()))}" if refused else ""
            raise UnsupportedModelError(f"{type(module).__name__}: no layer of it has a width that can change{why}")
        channels = tuple(tuple(range(group.width)) for group in groups)
        return cls(module, example, reading, groups, _stored(groups, reading.storage), groups, channels, refused)

    def cut(self, plan: WidthPlan) -> "Network":
        """A copy that is as narrow as a plan says; this one stays as it is. Raises ModelError."""
        module = apply_widths(self.module, plan.edits, self.example, reading=self.reading)
        changes = {change.group.name: change for change in plan.changes}
        left = []
        for group, own in zip(self.groups, self.channels, strict=True):
            change = changes.get(group.name)
            left.append(own if change is None else (*(own[place] for place in change.kept), *(NEW,) * change.added))
        return self._with(module, tuple(left))

    def at(self, channels: Channels) -> "Network":
        """The network as it was given, cut to these channels. Raises ModelError."""
        module = apply_widths(self.module, edits_of(self.first, channels), self.example, reading=self.reading)
        return self._with(module, channels)

    def _with(self, module: nn.Module, channels: Channels) -> "Network":
        reading = understand(module, self.example)
        names = {group.name for group in self.first}
        found = tuple(group for group in find_groups(reading.graph) if group.name in names)
        groups = _lying_in_parameters(found, reading.storage)
        if [group.width for group in groups] != [len(left) for left in channels]:
            raise ModelError(
                f"{type(module).__name__}: at other widths its layers go together otherwise: please report"
            )
        return replace(
            self, module=module, reading=reading, groups=groups, stored=_stored(groups, reading.storage),
            channels=channels,
        )  # fmt: skip


def edits_of(groups: Sequence[ChannelGroup], channels: Channels) -> tuple[SetWidth, ...]:
    """The edits that leave these channels of the groups."""
    found = []
    for group, left in zip(groups, channels, strict=True):
        if left != tuple(range(group.width)):
            kept = tuple(channel for channel in left if channel != NEW)
            found.append(SetWidth(group, kept, len(left) - len(kept)))
    return tuple(found)


def parameters_of(module: nn.Module) -> int:
    """Items of all parameters, shared ones once."""
    return sum(parameter.numel() for parameter in module.parameters())


def in_module(group: ChannelGroup, storage: Storage) -> ChannelGroup:
    """A group with its members in the parameters and buffers of the module; activations are left out."""
    return replace(group, members=tuple(part for one in group.members for _, _, part in pieces_of(one, storage)))


def _stored(groups: Sequence[ChannelGroup], storage: Storage) -> tuple[ChannelGroup, ...]:
    return tuple(in_module(group, storage) for group in groups)


def _lying_in_parameters(groups: Sequence[ChannelGroup], storage: Storage) -> tuple[ChannelGroup, ...]:
    return tuple(group for group in groups if in_module(group, storage).members)
