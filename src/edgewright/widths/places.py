"""Where channel groups lie in a network: shapes of its tensors, and the size of its weights, at any widths."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

from edgewright.graph.channels import ChannelGroup
from edgewright.graph.types import Graph, Shape

Widths = tuple[int, ...]
"""A width for each group, in the order of the groups."""


@dataclass(frozen=True)
class Places:
    """The channel groups of a network, and by them every shape as a function of their widths."""

    graph: Graph
    groups: tuple[ChannelGroup, ...]

    @property
    def widths(self) -> Widths:
        """The widths that the groups have."""
        return tuple(group.width for group in self.groups)

    @cached_property
    def touching(self) -> Mapping[str, tuple[tuple[int, int, int], ...]]:
        """For each tensor that a group lies on: index of the group, axis, and positions for each channel."""
        found: dict[str, list[tuple[int, int, int]]] = {}
        for index, group in enumerate(self.groups):
            for member in group.members:
                found.setdefault(member.tensor, []).append((index, member.axis, member.block * member.repeats))
        return {name: tuple(places) for name, places in found.items()}

    def groups_on(self, tensors: Iterable[str]) -> tuple[int, ...]:
        """The groups that lie on any of some tensors, in order."""
        return tuple(sorted({index for name in tensors for index, _, _ in self.touching.get(name, ())}))

    def shape(self, tensor: str, widths: Mapping[int, int] | Sequence[int]) -> Shape:
        """The shape of a tensor where the groups have these widths."""
        shape = list(self.graph.tensors[tensor].shape)
        for index, axis, each in self.touching.get(tensor, ()):
            shape[axis] += (widths[index] - self.groups[index].width) * each
        return tuple(shape)

    def weights(self, widths: Mapping[int, int] | Sequence[int]) -> int:
        """Items of all constants."""
        return sum(self.items(name, widths) for name, tensor in self.graph.tensors.items() if tensor.is_constant)

    def weights_bytes(self) -> int:
        """Bytes of all constants, as they are."""
        return sum(tensor.size_bytes for tensor in self.graph.tensors.values() if tensor.is_constant)

    def items(self, tensor: str, widths: Mapping[int, int] | Sequence[int]) -> int:
        if tensor not in self.touching:
            return self.graph.tensors[tensor].items
        return prod(self.shape(tensor, widths))
