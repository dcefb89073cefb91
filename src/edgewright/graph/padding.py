"""Which padding a format can write, so that lowering makes the rest of it an op of its own.

ONNX pads each side of a window as it likes. TFLite knows SAME, which follows from the size of the input, and VALID.
"""

from collections.abc import Callable

from edgewright.graph.types import Op, Shape, Window

Padding = tuple[tuple[int, int], ...]

Expresses = Callable[[Op, Shape, Padding], bool]
"""Whether a format can write an op with this padding of its window, for an input of these spatial sizes."""

_FILLED_WITH = {"conv": 0.0, "depthwise_conv": 0.0, "max_pool": float("-inf")}


def any_padding(op: Op, space: Shape, padding: Padding) -> bool:
    """The format pads each side of each axis on its own."""
    return True


def same_or_valid(op: Op, space: Shape, padding: Padding) -> bool:
    """The format pads so that the output has the size of the input by the stride (SAME), or not at all (VALID).

    What a transposed convolution crops is written as the size of its output, and can't be moved.
    """
    if op.window is None:
        return True
    none = all(pair == (0, 0) for pair in padding)
    return op.kind != "transposed_conv" and (none or padding == same_padding(op.window, space))


def same_padding(window: Window, space: Shape) -> Padding:
    """The padding with which an input of these sizes gives ceil(size / stride) outputs; the odd row comes after."""
    columns = zip(space, window.stride, window.extent, strict=True)
    return tuple(halves((-(-size // stride) - 1) * stride + extent - size) for size, stride, extent in columns)


def halves(total: int) -> tuple[int, int]:
    """Padding in two halves, the odd row after."""
    return max(total, 0) // 2, max(total, 0) - max(total, 0) // 2


def filler(op: Op) -> float | None:
    """The value that stands for the padding of an op's window when a pad op makes it; None where none does.

    An average without its padding, and what a transposed convolution crops, can't be written so.
    """
    if op.kind == "average_pool" and op.attributes.get("count_include_pad"):
        return 0.0
    return _FILLED_WITH.get(op.kind)


def can_be_cut(op: Op, expresses: Expresses) -> bool:
    """Whether a format can write every tile of an op, with a pad op before it where it must."""
    if op.window is None or expresses is any_padding or filler(op) is not None:
        return True
    return op.kind != "transposed_conv" and all(pair == (0, 0) for pair in op.window.padding)
