"""Sliding windows with their padding made explicit."""

from edgewright.errors import ModelError
from edgewright.formats.onnx.nodes import Node
from edgewright.graph.types import Shape, Window


def spatial_of(shape: Shape, channels_last: bool) -> Shape:
    """The spatial part of an activation's shape."""
    return shape[1:-1] if channels_last else shape[2:]


def window_of(node: Node, weight: Shape | None) -> Window:
    """The window of a convolution or pooling op; `weight` is the shape of its weight, None for pooling.

    `auto_pad` and `output_shape` become explicit padding. Raises ModelError for a window that can't be.
    """
    attributes = node.attributes
    space = spatial_of(node.shape(), node.channels_last)
    kernel = tuple(attributes.get("kernel_shape", weight[2:] if weight is not None else ()))
    ones = (1,) * len(kernel)
    stride = tuple(attributes.get("strides", ones))
    dilation = tuple(attributes.get("dilations", ones))
    pads = tuple(attributes.get("pads", ())) or (0,) * (2 * len(kernel))
    sizes = {len(kernel), len(stride), len(dilation), len(space), len(pads) / 2}
    if len(sizes) > 1 or not kernel or min((*kernel, *stride, *dilation)) < 1:
        raise ModelError(f"{node.values.source}: op {node.proto.name!r} has a window that does not fit its input")
    window = Window(kernel, stride, dilation, tuple(zip(pads[: len(kernel)], pads[len(kernel) :], strict=True)))
    auto_pad = str(attributes.get("auto_pad", "NOTSET"))
    if node.op_type == "ConvTranspose":
        return _padded_transposed(node, window, space, auto_pad)
    if auto_pad.startswith("SAME"):
        return _padded_same(window, space, upper=auto_pad == "SAME_UPPER")
    if auto_pad == "VALID":
        return Window(kernel, stride, dilation, ((0, 0),) * len(kernel))
    return window


def _split(total: int, upper: bool) -> tuple[int, int]:
    """Padding in halves, the odd one after (upper) or before (lower)."""
    total = max(total, 0)
    return (total // 2, total - total // 2) if upper else (total - total // 2, total // 2)


def _padded_same(window: Window, space: Shape, upper: bool) -> Window:
    padding = tuple(
        _split((-(-size // stride) - 1) * stride + extent - size, upper)
        for size, stride, extent in zip(space, window.stride, window.extent, strict=True)
    )
    return Window(window.kernel, window.stride, window.dilation, padding)


def _padded_transposed(node: Node, window: Window, space: Shape, auto_pad: str) -> Window:
    """The padding of a transposed convolution crops its output; see ConvTranspose in ONNX's operator list."""
    wanted = node.attributes.get("output_shape")
    if wanted is None and not auto_pad.startswith("SAME"):
        return window if auto_pad == "NOTSET" else Window(window.kernel, window.stride, window.dilation, _none(space))
    if wanted is None:
        wanted = [size * stride for size, stride in zip(space, window.stride, strict=True)]
    extra = output_padding_of(node, len(space))
    totals = [
        stride * (size - 1) + more + extent - out
        for size, stride, extent, more, out in zip(
            space, window.stride, window.extent, extra, wanted[-len(space) :], strict=True
        )
    ]
    padding = tuple(_split(total, upper=auto_pad == "SAME_UPPER") for total in totals)
    return Window(window.kernel, window.stride, window.dilation, padding)


def _none(space: Shape) -> tuple[tuple[int, int], ...]:
    return ((0, 0),) * len(space)


def output_padding_of(node: Node, rank: int) -> tuple[int, ...]:
    """Rows that a transposed convolution adds at the end of each spatial axis."""
    return tuple(node.attributes.get("output_padding", ())) or (0,) * rank
