"""Channels that no output depends on, as the network's constants prove."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgewright.graph.channel_values import Tracer, Value, readers_and_makers, touched_ops
from edgewright.graph.channels import ChannelGroup
from edgewright.graph.types import Graph, Op

Array = npt.NDArray[Any]


def dead_channels(
    graph: Graph, groups: Sequence[ChannelGroup], constants: Mapping[str, Array]
) -> dict[str, tuple[int, ...]]:
    """The channels of each group, by its name, without which every output is the same; none where there are none.

    A channel is dead where its weights and bias are zero and all ops on its way keep zero, or where all weights that
    read it are zero. With it dies what only dead channels read, or what only they are made of. `constants` are the real
    values of the network's constants (of quantized ones too, less their zero point); one that is not given is taken not
    to be zero. All dead channels can be removed at once; at least one channel of each group is left.
    """
    touching = readers_and_makers(graph)
    ops = {group.name: touched_ops(graph, group.members, touching) for group in groups}
    known = {name: np.asarray(value) for name, value in constants.items()}
    dead: dict[str, set[int]] = {group.name: set() for group in groups}
    while True:
        found = {group.name: _newly_dead(graph, group, ops[group.name], known, dead[group.name]) for group in groups}
        if not any(found.values()):
            break
        for group in groups:
            dead[group.name] |= found[group.name]
        known = _without(known, groups, found)
    return {name: tuple(sorted(channels)) for name, channels in dead.items() if channels}


def _newly_dead(
    graph: Graph, group: ChannelGroup, ops: Sequence[Op], known: Mapping[str, Array], before: set[int]
) -> set[int]:
    """Dead channels that were not found before, less one where none would be left."""
    alike: defaultdict[tuple[tuple[tuple[str, int], Value], ...], list[int]] = defaultdict(list)
    for channel, start in enumerate(_starts(graph, group, known)):
        alike[start].append(channel)
    found = {
        channel
        for start, channels in alike.items()
        if Tracer(graph, group.members, dict(start)).is_safe(ops)
        for channel in channels
    }
    new = found - before
    return new - {min(new)} if new and len(before | new) == group.width else new


def _starts(
    graph: Graph, group: ChannelGroup, known: Mapping[str, Array]
) -> list[tuple[tuple[tuple[str, int], Value], ...]]:
    """What every channel holds in each constant."""
    found: dict[tuple[str, int], npt.NDArray[np.int64]] = {}
    for member in group.members:
        value = known.get(member.tensor)
        if value is None or not graph.tensors[member.tensor].is_constant:
            continue
        items = np.moveaxis(value, member.axis, 0).reshape(value.shape[member.axis], -1)
        held = np.where(np.isfinite(items).all(axis=1), (items != 0).any(axis=1), int(Value.UNSAFE))
        worst = held[np.array(member.positions(range(group.width)))].reshape(member.repeats, group.width, member.block)
        place = member.tensor, member.axis
        found[place] = np.maximum(found.get(place, 0), worst.max(axis=(0, 2)))
    return [
        tuple((place, Value(int(values[channel]))) for place, values in found.items()) for channel in range(group.width)
    ]


def _without(
    known: Mapping[str, Array], groups: Sequence[ChannelGroup], dead: Mapping[str, set[int]]
) -> dict[str, Array]:
    """The constants with zeros for dead channels: what they hold is of no account."""
    found = dict(known)
    for group in groups:
        for member in group.members if dead[group.name] else ():
            if member.tensor in known:
                value = np.moveaxis(found[member.tensor], member.axis, 0).copy()
                value[np.array(member.positions(dead[group.name]))] = member.fill
                found[member.tensor] = np.moveaxis(value, 0, member.axis)
    return found
