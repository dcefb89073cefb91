"""Sliding windows: SAME and VALID as padding in numbers, and back."""

from edgewright.errors import ModelError
from edgewright.formats.tflite.schema import schema
from edgewright.graph.padding import Padding, halves, same_padding
from edgewright.graph.types import Shape, Window

SAME, VALID = int(schema.Padding.SAME), int(schema.Padding.VALID)


def padding_of(mode: int, window: Window, space: Shape) -> Padding:
    """What SAME or VALID pads of an input with these spatial sizes. Raises ModelError for any other mode."""
    if mode == VALID:
        return ((0, 0),) * len(space)
    if mode != SAME:
        raise ModelError(f"padding mode {mode} does not exist")
    return same_padding(window, space)


def cropping_of(mode: int, window: Window, space: Shape, made: Shape) -> tuple[Padding, Shape]:
    """What a transposed convolution crops of each side, and what it adds after its last window, to make `made`.

    Raises ModelError for a mode that does not exist.
    """
    if mode not in (SAME, VALID):
        raise ModelError(f"padding mode {mode} does not exist")
    columns = zip(space, window.stride, window.extent, made, strict=True)
    totals = [(size - 1) * stride + extent - out for size, stride, extent, out in columns]
    padding = tuple(halves(total) if mode == SAME else (0, max(total, 0)) for total in totals)
    return padding, tuple(max(-total, 0) for total in totals)


def mode_of(padding: Padding, window: Window, space: Shape) -> int | None:
    """The mode that pads an input of these sizes so; VALID where both do, None where neither does."""
    for mode in (VALID, SAME):
        if padding_of(mode, window, space) == padding:
            return mode
    return None
