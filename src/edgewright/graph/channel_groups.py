"""The channel groups of a network."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from edgewright.graph.channel_classes import Classes, classes_of
from edgewright.graph.channel_fit import fitted, places_of
from edgewright.graph.channel_values import Tracer, Value, readers_and_makers, touched_ops
from edgewright.graph.channels import ChannelGroup, Member
from edgewright.graph.types import Graph


def find_groups(graph: Graph) -> tuple[ChannelGroup, ...]:
    """All groups of channels whose number can change, in order of execution; no place is in two of them.

    Every axis of every tensor is followed through the ops that read and make it. Items that are paired on the way are
    one channel, and channels that lie at the same places in the same order are a group. An axis that reaches an input
    or an output of the network or an op that is not understood is in no group.
    """
    classes = classes_of(graph)
    found = []
    touching = readers_and_makers(graph)
    for width, members in fitted(graph, classes):
        filled = tuple(replace(member, fill=_fill(member.tensor, classes)) for member in members)
        start = {(member.tensor, member.axis): Value.FINITE if member.fill else Value.ZERO for member in filled}
        growable = Tracer(graph, filled, start).is_safe(touched_ops(graph, filled, touching))
        found.append(ChannelGroup(_name(graph, width, filled), width, filled, growable))
    order = {name: place for place, name in enumerate(place.tensor for place in places_of(graph))}
    return tuple(sorted(found, key=lambda group: (order[group.members[0].tensor], group.members[0].offset)))


def why_fixed(graph: Graph) -> Mapping[tuple[str, int], str]:
    """For each axis of an activation that is in no group, and for each that is in part, why so."""
    classes = classes_of(graph)
    grouped: dict[tuple[str, int], set[int]] = {}
    for width, members in fitted(graph, classes):
        for member in members:
            grouped.setdefault((member.tensor, member.axis), set()).update(member.positions(range(width)))
    found = {}
    for place in places_of(graph):
        size = graph.tensors[place.tensor].shape[place.axis]
        left = set(range(size)) - grouped.get((place.tensor, place.axis), set())
        if left and not graph.tensors[place.tensor].is_constant:
            label = int(classes.labels[place.start + min(left)])
            found[place.tensor, place.axis] = classes.reasons.get(label, _MIXED)
    return found


def _fill(name: str, classes: Classes) -> float:
    return classes.ties.fills.get(name, 0.0) if classes.ties.is_constant(name) else 0.0


_MIXED = "its channels go together in no even order"


def _name(graph: Graph, width: int, members: Sequence[Member]) -> str:
    first = members[0]
    positions = sorted(
        position
        for member in members
        if (member.tensor, member.axis) == (first.tensor, first.axis)
        for position in member.positions(range(width))
    )
    is_whole = len(positions) == graph.tensors[first.tensor].shape[first.axis]
    return first.tensor if is_whole else f"{first.tensor}[{positions[0]}:{positions[-1] + 1}]"
