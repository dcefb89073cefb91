"""The axes along which tensors are cut into tiles, and which indices of an input's axis a range of outputs needs."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from edgewright.graph.types import Shape, Tensor


@dataclass(frozen=True, slots=True)
class AxisMap:
    """Which indices of an input's axis the outputs `[lo, hi)` need.

    These are `[(lo * step + first) // divisor, ((hi - 1) * step + last) // divisor + 1)`, cut to `[0, size)`. Who needs
    all outputs is given the whole input, rows that nothing reads included, unless the op crops it.
    """

    step: int
    first: int
    last: int
    divisor: int
    size: int
    crops: bool = False

    def uncut(self, lo: Any, hi: Any) -> tuple[Any, Any]:
        """The range before it is cut to the input; of ints or of numpy arrays of them."""
        return (lo * self.step + self.first) // self.divisor, ((hi - 1) * self.step + self.last) // self.divisor + 1

    def range(self, lo: int, hi: int) -> tuple[int, int]:
        start, stop = self.uncut(lo, hi)
        return max(start, 0), min(stop, self.size)

    @property
    def is_identity(self) -> bool:
        return self.step == self.divisor == 1 and self.first == self.last == 0


Maps = tuple[tuple[AxisMap, ...] | None, ...] | None
"""For each input the map of each axis that is cut, None for what is read whole; None for an op that can't be cut."""


def tiled_axes(tensor: Tensor) -> Shape:
    """Positions of the axes that tiles cut, as the tensor is stored: its spatial axes, or else the leading one.

    Empty where there is neither.
    """
    return _tiled_axes(tensor.axes, tensor.shape)


@cache
def _tiled_axes(axes: str, shape: Shape) -> Shape:
    space = tuple(i for i, letter in enumerate(axes) if letter not in "NC")
    leading = leading_axis(shape)
    return space if space or leading is None else (leading,)


def leads(tensor: Tensor) -> bool:
    """Whether a tensor without spatial axes is cut along its leading axis."""
    return not set(tensor.axes) - set("NC") and leading_axis(tensor.shape) is not None


def leading_axis(shape: Shape) -> int | None:
    """The first axis of several items: that of a batch, of frames or of words. The last axis is that of the features
    of each of them, and is none."""
    return next((axis for axis, size in enumerate(shape[:-1]) if size > 1), None)


def identity(output: Tensor) -> tuple[AxisMap, ...]:
    """Each output needs the input in the same place."""
    return tuple(AxisMap(1, 0, 0, 1, output.shape[axis]) for axis in tiled_axes(output))
