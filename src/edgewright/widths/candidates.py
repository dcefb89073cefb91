"""The widths that are worth trying for a channel group."""

from collections.abc import Iterable, Mapping, Sequence
from math import ceil

from edgewright.graph.channels import ChannelGroup
from edgewright.timing.model import ExecutionTimeModel
from edgewright.timing.splits import MultipleOf
from edgewright.timing.tree import paths

ROUNDINGS = (4, 8, 16)
"""Runtimes compute in vectors of so many channels, whatever a device's execution-time model has found."""
WIDEST = 1.5
"""A group grows up to this many times its width, or else to its next multiple of the widest vector."""
_MOST_BLOCK = 64


def blocks_of(model: ExecutionTimeModel | None) -> tuple[int, ...]:
    """The multiples at which the time of layers steps: of vectors, and those that the model has found in its device."""
    found = set(ROUNDINGS)
    for family in model.families.values() if model is not None else ():
        for path, leaf in paths(family.root):
            found |= {split.modulus for split, _ in path if isinstance(split, MultipleOf)}
            found |= set(leaf.blocks.values())
    return tuple(sorted(block for block in found if min(ROUNDINGS) <= block <= _MOST_BLOCK))


def candidates(group: ChannelGroup, blocks: Sequence[int], dead: int = 0) -> tuple[int, ...]:
    """Its own width, and the next multiples of each block: upwards, and from the `dead` channels that may go upwards.

    Sorted; a group that can't grow has no wider ones.
    """
    alive = max(group.width - dead, 1)
    most = max(group.width * WIDEST, _up(group.width, max(ROUNDINGS))) if group.growable else group.width
    found = {group.width, alive} | {_up(width, block) for width in (alive, group.width) for block in blocks}
    return tuple(sorted(width for width in found if alive <= width <= most))


def rounded(groups: Sequence[ChannelGroup], block: int) -> tuple[int, ...]:
    """Every width rounded up to a multiple of a constant, where the group can grow."""
    return tuple(_up(group.width, block) if group.growable else group.width for group in groups)


def dead_counts(groups: Sequence[ChannelGroup], dead: Mapping[str, Iterable[int]]) -> tuple[int, ...]:
    """How many channels of each group are dead."""
    return tuple(len(set(dead.get(group.name, ()))) for group in groups)


def _up(width: int, block: int) -> int:
    return ceil(width / block) * block
