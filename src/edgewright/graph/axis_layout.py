"""Where the items of an axis come from when channels that lie on it are kept, reordered, removed and added."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edgewright.errors import ModelError
from edgewright.graph.channels import Member

NEW = -1
"""The source of an item that was not there before."""


@dataclass(frozen=True, slots=True)
class Part:
    """What happens to the channels of one member: `kept` of its `width` channels stay, in that order, then `added`."""

    member: Member
    width: int
    kept: tuple[int, ...]
    added: int


def axis_sources(size: int, parts: Iterable[Part]) -> tuple[int, ...]:
    """For each item of the axis after the edits its position before them, `NEW` for an added one.

    `size` is that of the axis before; the parts are all that lie on the axis, each of them once or more often.
    Raises ModelError where a part lies outside the axis, keeps what it has not, or overlaps with another.
    """
    pieces = sorted(piece for part in dict.fromkeys(parts) for piece in _pieces(part))
    found: list[int] = []
    position = 0
    for start, stop, sources in pieces:
        if start < position or stop > size:
            raise ModelError(f"edit script: channels at {start}:{stop} do not fit an axis of {size} items")
        found += [*range(position, start), *sources]
        position = stop
    return (*found, *range(position, size))


def _pieces(part: Part) -> Iterable[tuple[int, int, Sequence[int]]]:
    """First and last position of every repeat of the part, and what takes its place."""
    member = part.member
    if not set(part.kept) <= set(range(part.width)) or len(set(part.kept)) < len(part.kept):
        raise ModelError(f"edit script: {part.kept} are no channels of {part.width}")
    if part.added < 0:
        raise ModelError(f"edit script: {part.added} channels can't be added")
    new = [NEW] * (part.added * member.block)
    for repeat in range(member.repeats):
        start = member.offset + repeat * member.period
        kept = [start + channel * member.block + item for channel in part.kept for item in range(member.block)]
        yield start, start + part.width * member.block, [*kept, *new]
