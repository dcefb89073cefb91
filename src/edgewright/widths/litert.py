"""The layers that LiteRT executes for a network at any widths: every operator, but for those that are part of another.

Which operators XNNPACK runs as one (`graph.xnnpack`) does not depend on widths, and all data lies in one layout. So an
operator costs what its shapes say, whatever stands around it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from edgewright.graph.channel_weighted import channel_axis, weight_axes
from edgewright.graph.types import Graph, Op
from edgewright.graph.xnnpack import Part, layer_of_part, parts_of
from edgewright.widths.executed import Lies, Taken
from edgewright.widths.places import Places


@dataclass(frozen=True)
class Operator:
    """An operator that is run; it does not matter to it how tensors lie."""

    part: Part
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.part.op.name

    @property
    def op(self) -> Op:
        return self.part.op

    @property
    def tensors(self) -> tuple[str, ...]:
        """All that its shapes follow from."""
        names = (*self.op.inputs, *self.op.outputs, self.part.source, self.part.output)
        return tuple(dict.fromkeys(filter(None, names)))


@dataclass(frozen=True)
class Parts:
    """The operators of a network that cost time, in order."""

    places: Places
    nodes: tuple[Operator, ...]

    @classmethod
    def of(cls, places: Places, xnnpack: bool = True) -> "Parts":
        return cls(places, tuple(Operator(part) for part in parts_of(places.graph, xnnpack)))

    @property
    def network(self) -> Graph:
        return self.places.graph

    def groups_of(self, index: int) -> tuple[int, ...]:
        """The groups whose widths decide the shapes of an operator."""
        return self._groups[index]

    @cached_property
    def _groups(self) -> tuple[tuple[int, ...], ...]:
        return tuple(self.places.groups_on(node.tensors) for node in self.nodes)

    def take(self, index: int, widths: Mapping[int, int], lies: Mapping[str, Lies]) -> Taken:
        """The operator of that index where its groups have these widths."""
        node, graph = self.nodes[index], self.places.graph
        tensors = {name: replace(graph.tensors[name], shape=self.places.shape(name, widths)) for name in node.tensors}
        at_widths = replace(graph, tensors=tensors)
        part = replace(node.part, op=_followed(node.op, at_widths))
        return Taken((layer_of_part(part, at_widths),), ())


def _followed(op: Op, graph: Graph) -> Op:
    """The operator with the groups that follow from its sizes."""
    axes = weight_axes(op, graph) if op.attributes.get("groups", 1) > 1 else None
    if axes is None:
        return op
    given, weight = op.operands[:2]
    groups = graph.tensors[given].shape[channel_axis(given, graph)] // graph.tensors[weight].shape[axes[1]]
    return replace(op, attributes={**op.attributes, "groups": groups})
