"""Convolutions, pools and resizing as ops."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from edgewright.formats.torch.calls import Call, Made
from edgewright.formats.torch.export import name_of
from edgewright.graph.types import Shape, Window


def _each(value: Any, rank: int) -> Shape:
    """One number for each spatial axis."""
    numbers = tuple(int(one) for one in value) if isinstance(value, Sequence) else (int(value),)
    return numbers * rank if len(numbers) == 1 else numbers


def _space(call: Call, name: str = "input") -> int:
    """The number of spatial axes of a map with a batch."""
    rank = len(call.shape(name)) - 2
    if rank < 1:
        raise ValueError("a map without a batch")
    return rank


def _convolution(call: Call) -> Made:
    if call.get("transposed"):
        return _transposed(call)
    weight = call.shape("weight")
    rank = len(weight) - 2
    if _space(call) != rank:
        raise ValueError("a map without a batch")
    stride, dilation = _each(call["stride"], rank), _each(call["dilation"], rank)
    groups = int(call["groups"])
    window = Window(weight[2:], stride, dilation, _padding(call["padding"], weight[2:], dilation))
    kind = "depthwise_conv" if groups > 1 == weight[1] else "conv"
    inputs = [call.name_of(call[name]) for name in ("input", "weight", "bias")]
    return call.op(kind, inputs if inputs[2] else inputs[:2], window=window, groups=groups, fused=())


def _padding(value: Any, kernel: Shape, dilation: Shape) -> tuple[tuple[int, int], ...]:
    if value == "valid":
        return ((0, 0),) * len(kernel)
    if value == "same":
        totals = [step * (size - 1) for size, step in zip(kernel, dilation, strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)
    return tuple((size, size) for size in _each(value, len(kernel)))


def _transposed(call: Call) -> Made:
    weight = call.shape("weight")
    rank = len(weight) - 2
    if _space(call) != rank:
        raise ValueError("a map without a batch")
    stride, dilation = _each(call["stride"], rank), _each(call["dilation"], rank)
    window = Window(weight[2:], stride, dilation, _padding(call["padding"], weight[2:], dilation))
    inputs = [call.name_of(call[name]) for name in ("input", "weight", "bias")]
    return call.op(
        "transposed_conv",
        inputs if inputs[2] else inputs[:2],
        window=window,
        groups=int(call["groups"]),
        output_padding=_each(call["output_padding"], rank),
        fused=(),
    )


def _pool(call: Call) -> Made:
    """A pool with a window; the indices of a maximum must not be read."""
    rank = _space(call, "self")
    kernel = _each(call["kernel_size"], rank)
    stride = _each(call["stride"] or kernel, rank)
    dilation = _each(call.get("dilation", 1), rank)
    padding = tuple((size, size) for size in _each(call["padding"], rank))
    if call.get("divisor_override") is not None:
        raise ValueError("a divisor of its own")
    is_max = "max" in name_of(call.node)
    return call.op(
        "max_pool" if is_max else "average_pool",
        [call.name_of(call["self"])],
        window=Window(kernel, stride, dilation, padding),
        ceil_mode=bool(call["ceil_mode"]),
        count_include_pad=not is_max and bool(call["count_include_pad"]),
    )


def _adaptive_pool(call: Call) -> Made:
    """Global where one item is left, else with the window whose steps are even.

    Where the sizes do not divide, torch's windows are of several sizes; the one here has the same number of steps.
    """
    rank = _space(call, "self")
    given, made = call.shape("self")[-rank:], call.made[-rank:]
    kind = "max" if "max" in name_of(call.node) else "average"
    inputs = [call.name_of(call["self"])]
    if set(made) == {1}:
        return call.op("global_pool", inputs, kind)
    if any(out > size for size, out in zip(given, made, strict=True)):
        scales = (1.0, 1.0, *(out / size for size, out in zip(given, made, strict=True)))
        return call.op("resize", inputs, "nearest", scales=scales, coordinates="asymmetric", rounding="floor")
    stride = tuple(size // out for size, out in zip(given, made, strict=True))
    kernel = tuple(size - (out - 1) * step for size, out, step in zip(given, made, stride, strict=True))
    window = Window(kernel, stride, (1,) * rank, ((0, 0),) * rank)
    return call.op(f"{kind}_pool", inputs, window=window, ceil_mode=False, count_include_pad=False)


def _resize(call: Call) -> Made:
    name = name_of(call.node)
    inputs = "self" if "self" in call.args else "input"
    given, made = call.shape(inputs), call.made
    scales = tuple(out / size for size, out in zip(given, made, strict=True))
    if "nearest" in name:
        exact = "exact" in name
        attributes: dict[str, Any] = {"coordinates": "half_pixel" if exact else "asymmetric", "rounding": "floor"}
        variant = "nearest"
    else:
        variant = "cubic" if "cubic" in name else "linear"
        attributes = {"coordinates": "align_corners" if call["align_corners"] else "pytorch_half_pixel"}
    return call.op("resize", [call.name_of(call[inputs])], variant, scales=scales, **attributes)


def _shuffle(call: Call) -> Made:
    deep = "unshuffle" not in name_of(call.node)
    size = int(call["upscale_factor"] if deep else call["downscale_factor"])
    variant = "depth_to_space" if deep else "space_to_depth"
    return call.op("reorder", [call.name_of(call["self"])], variant, block_size=size, mode="crd")


RULES: Mapping[str, Callable[[Call], Made]] = MappingProxyType(
    {
        **dict.fromkeys(("conv1d", "conv2d", "conv3d", "convolution"), _convolution),
        **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _transposed),
        **dict.fromkeys(("max_pool1d", "max_pool2d", "max_pool3d", "max_pool2d_with_indices"), _pool),
        **dict.fromkeys(("max_pool3d_with_indices", "avg_pool1d", "avg_pool2d", "avg_pool3d"), _pool),
        **dict.fromkeys((f"adaptive_avg_pool{rank}d" for rank in (1, 2, 3)), _adaptive_pool),
        **dict.fromkeys((f"adaptive_max_pool{rank}d" for rank in (1, 2, 3)), _adaptive_pool),
        **dict.fromkeys((f"upsample_nearest{rank}d" for rank in (1, 2, 3)), _resize),
        **dict.fromkeys((f"_upsample_nearest_exact{rank}d" for rank in (1, 2, 3)), _resize),
        **dict.fromkeys(("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d"), _resize),
        "upsample_bicubic2d": _resize,
        **dict.fromkeys(("pixel_shuffle", "pixel_unshuffle"), _shuffle),
    }
)  # fmt: skip
