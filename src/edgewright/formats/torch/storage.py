"""How the constants of a Graph lie in the parameters and buffers of a module.

Most constants are one parameter each. A recurrent layer has a parameter for each direction, where the Graph has one
constant for all; the slopes of PReLU have an axis less than the map that they act on.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from edgewright.graph.channels import Member
from edgewright.graph.types import Shape


@dataclass(frozen=True, slots=True)
class Piece:
    """A parameter or buffer as a part of a constant.

    `axes` gives the parameter's axis for each axis of the constant, None where it has none; the part begins at `starts`
    on the constant's axes and is `shape` items long there.
    """

    parameter: str
    axes: tuple[int | None, ...]
    starts: tuple[int, ...]
    shape: Shape

    def holds(self, axis: int, position: int) -> bool:
        """Whether a position of an axis of the constant lies in the part."""
        return self.starts[axis] <= position < self.starts[axis] + self.shape[axis]


Storage = Mapping[str, tuple[Piece, ...]]
"""The pieces of each constant, by its name; none for one that is computed as the module runs."""


@dataclass(frozen=True, slots=True)
class Location:
    """Where channels lie in a parameter or buffer of a module: positions on one of its axes."""

    parameter: str
    axis: int
    positions: tuple[int, ...]


def whole(parameter: str, shape: Shape) -> Piece:
    """A parameter that is a constant by itself."""
    return Piece(parameter, tuple(range(len(shape))), (0,) * len(shape), shape)


def pieces_of(member: Member, storage: Storage) -> Iterator[tuple[Piece, int, Member]]:
    """Each piece that channels of a member lie in, its parameter's axis, and the part of the member within it."""
    for piece in storage.get(member.tensor, ()):
        axis = piece.axes[member.axis]
        if axis is None:
            continue
        for repeat in range(member.repeats):
            start = member.offset + repeat * member.period
            if piece.holds(member.axis, start):
                part = replace(member, tensor=piece.parameter, axis=axis, repeats=1, period=0)
                yield piece, axis, replace(part, offset=start - piece.starts[member.axis])


def locations(members: Iterable[Member], channels: Iterable[int], storage: Storage) -> tuple[Location, ...]:
    """Where these channels of a group with these members lie in the parameters and buffers of the module."""
    wanted = tuple(channels)
    found: dict[tuple[str, int], dict[int, None]] = {}
    for member in members:
        for piece, axis, part in pieces_of(member, storage):
            place = found.setdefault((piece.parameter, axis), {})
            place.update(dict.fromkeys(part.positions(wanted)))
    return tuple(Location(name, axis, tuple(places)) for (name, axis), places in found.items())
