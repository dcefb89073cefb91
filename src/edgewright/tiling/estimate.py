"""What the search knows of candidate groups: the peak and the time of every grid, before anything is lowered.

For one end of a group its begin is moved back op by op, and all grids are computed at once in numpy columns, one for
each tile. The lifetimes are those of the rewritten network, but for small things: where a group begins between two
branches, what it cuts out of tensors from outside counts from the beginning of the tile.
"""

from collections.abc import Container, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgewright.graph.axis_map import AxisMap
from edgewright.tiling.outline import Outline
from edgewright.tiling.rates import Rates

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Grids = tuple[tuple[int, int], ...]

TOKEN_OPS = 3
"""Ops by which a slice waits for the tile before its own (`edits.Slice.after`)."""


@dataclass(frozen=True)
class Candidates:
    """Ways to cut the ops `start` to `end` into tiles: columns with a row for each grid.

    `peak_bytes` is what lives inside of the group, results included; what else lives then is not counted. `last_bytes`
    is the same after the last tile has read what it needs from outside, and `peak_bytes` that before.
    """

    start: int
    end: int
    halos: tuple[str, ...]
    grids: tuple[tuple[int, int], ...]
    peak_bytes: Ints
    last_bytes: Ints
    time_s: Floats
    extra_macs: Ints
    valid: Bools
    output_bytes: int
    largest_output_bytes: int


@dataclass(frozen=True)
class Ranges:
    """Rows or columns of one tensor, for each part: half-open."""

    low: Ints
    high: Ints

    @property
    def sizes(self) -> Ints:
        return self.high - self.low

    def same(self, other: "Ranges") -> Bools:
        equal: Bools = (self.low == other.low) & (self.high == other.high)
        return equal

    def hull(self, other: "Ranges") -> "Ranges":
        return Ranges(np.minimum(self.low, other.low), np.maximum(self.high, other.high))


def pulled_back(ranges: Ranges, axis: AxisMap, size: int) -> Ranges:
    """The ranges of an input that these ranges of an output of `size` need, as `geometry.input_regions` says."""
    low, high = axis.uncut(ranges.low, ranges.high)
    whole = (ranges.low == 0) & (ranges.high == size) & (not axis.crops)
    return Ranges(np.where(whole, 0, np.maximum(low, 0)), np.where(whole, axis.size, np.minimum(high, axis.size)))


class Costs:
    """Seconds and multiply-accumulates of a group as it grows backward, a row for each grid.

    Cutting a tensor costs only where it comes from outside of the group, and joining it only where it does not, so
    both are kept apart until its maker is met.
    """

    def __init__(self, outline: Outline, rates: Rates, count: int) -> None:
        self.outline, self.rates = outline, rates
        self.time_s: Floats = np.zeros(count)
        self.macs: Floats = np.zeros(count)
        self.outside: dict[str, Floats] = {}
        self.inside: dict[str, Floats] = {}

    def compute(self, index: int, shares: Floats, runs: Ints | Floats) -> None:
        """An op that is run so often, and computes such a share of its whole output in all."""
        step = self.outline.steps[index]
        self.time_s = self.time_s + step.time.fixed_s * runs + step.time.variable_s * shares
        self.macs = self.macs + step.macs * (shares - 1)

    def read(self, name: str, outside: Floats, inside: Floats) -> None:
        self.outside[name] = self.outside.get(name, 0.0) + outside
        self.inside[name] = self.inside.get(name, 0.0) + inside

    def made(self, name: str) -> None:
        """The tensor is made inside of the group."""
        self.outside.pop(name, None)
        if name in self.inside:
            self.time_s = self.time_s + self.inside.pop(name)

    def total_s(self, joined_s: Floats | float) -> Floats:
        return sum(self.outside.values(), self.time_s + joined_s)


def reached(outline: Outline, end: int, longest: int) -> Iterator[int]:
    """Indices of the ops of the longest group that ends before op `end`, from the last one backward."""
    for index in range(end - 1, max(end - 1 - longest, -1), -1):
        if not outline.steps[index].tileable:
            return
        yield index


def readers_from_outside(outline: Outline, computed: Container[int], start: int, end: int) -> dict[str, list[int]]:
    """Tensors made before op `start` that ops from there to `end` read, those that are computed, in order."""
    found: dict[str, list[int]] = {}
    for index in (index for index in range(start, end) if index in computed):
        for name, _, _ in outline.steps[index].reads:
            if outline.features[name].maker < start:
                found.setdefault(name, []).append(index)
    return found


def group_begin(outline: Outline, computed: Container[int], starts: Container[int], first: int) -> int | None:
    """Where a group begins whose first computed op is `first`: there, or before dequantize ops in front of it.

    None where it may not begin at any of these places.
    """
    begin = first
    while begin not in starts:
        begin -= 1
        if begin < 0 or begin in computed or outline.steps[begin].op.kind != "dequantize":
            return None
    return begin
