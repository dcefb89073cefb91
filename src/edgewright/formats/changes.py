"""What width edits do to the items of a constant."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edgewright.graph.axis_layout import NEW, Part, axis_sources
from edgewright.graph.types import Graph, Shape
from edgewright.graph.width_edits import SetWidth

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class AxisChange:
    """The items of one axis after the edits: the position of each before them, `NEW` for one that holds `fill`."""

    axis: int
    sources: tuple[int, ...]
    fill: float = 0.0


@dataclass(frozen=True, slots=True)
class Change:
    """The changes of all axes of a constant.

    Where `zeros` is not empty the constant is stored quantized, and new items hold their zero point: one for all, or
    one for each item of `zero_axis` after the edits.
    """

    axes: tuple[AxisChange, ...]
    zeros: tuple[int, ...] = ()
    zero_axis: int = 0

    def shape(self, before: Shape) -> Shape:
        """The shape after the change of a constant of this shape."""
        sizes = {change.axis: len(change.sources) for change in self.axes}
        return tuple(sizes.get(axis, size) for axis, size in enumerate(before))

    def of(self, value: Array) -> Array:
        """The constant after the change."""
        is_new = np.zeros(self.shape(value.shape), bool)
        for change in self.axes:
            sources = np.array(change.sources, np.int64)
            place = (slice(None),) * change.axis + (sources == NEW,)
            value = np.take(value, np.maximum(sources, 0), axis=change.axis)
            value[place] = change.fill
            is_new[place] = True
        if not self.zeros:
            return value
        along = [1] * value.ndim
        along[self.zero_axis] = -1
        zeros = np.array(self.zeros).astype(value.dtype)
        return np.where(is_new, zeros if zeros.size == 1 else zeros.reshape(along), value)

    def moved(self, axes: Sequence[int] | Mapping[int, int]) -> "Change":
        """The same change where axis `i` of the constant is the axis `axes[i]` of another."""
        changes = sorted((replace(change, axis=axes[change.axis]) for change in self.axes), key=lambda c: c.axis)
        return Change(tuple(changes), self.zeros, axes[self.zero_axis] if self.zeros else 0)

    def along(self, axis: int) -> "Change | None":
        """What happens to a vector with an item for each of this axis, as scales and zero points have; None: nothing.

        A new item is what the one before it is, so that scales stay positive and finite.
        """
        found = next((change for change in self.axes if change.axis == axis), None)
        return Change((AxisChange(0, _repeated(found.sources)),)) if found else None

    @property
    def real(self) -> "Change":
        """The same change of the constant in real numbers."""
        return Change(self.axes)

    def stored(self, zero_points: Array | None, axis: int) -> "Change":
        """The same change where the constant is stored with these zero points, one or one for each item of an axis."""
        if zero_points is None or not zero_points.any():
            return self.real
        items = zero_points.reshape(-1)
        change = self.along(axis) if items.size > 1 else None
        return Change(self.axes, tuple(int(item) for item in (change.of(items) if change else items)), axis)


def _repeated(sources: tuple[int, ...]) -> tuple[int, ...]:
    """Sources without new items: each takes the place of the last one before it, or of the first."""
    last = next((source for source in sources if source != NEW), 0)
    found = []
    for source in sources:
        last = source if source != NEW else last
        found.append(last)
    return tuple(found)


def changes_of(graph: Graph, edits: Sequence[SetWidth]) -> dict[str, Change]:
    """What a script of width edits does to each constant that the network's ops read; raises as `axis_sources` does."""
    parts: defaultdict[tuple[str, int], list[Part]] = defaultdict(list)
    for edit in edits:
        for member in edit.group.members:
            if graph.tensors[member.tensor].is_constant:
                parts[member.tensor, member.axis].append(Part(member, edit.group.width, edit.kept, edit.added))
    axes: defaultdict[str, list[AxisChange]] = defaultdict(list)
    for (name, axis), its in sorted(parts.items()):
        size = graph.tensors[name].shape[axis]
        sources = axis_sources(size, its)
        if sources != tuple(range(size)):
            axes[name].append(AxisChange(axis, sources, its[0].member.fill))
    return {name: Change(tuple(its)) for name, its in axes.items()}
