"""Operations and items of a layer, by formulas that serve single layers (ints) and tables of layers (columns) alike.

A layer is first laid out in the dimensions of its form (`dimension_names`, `dimension_row`), then `cost` computes
with them by `*`, `+` and `//` alone. So the same formula prices one layer, or a hundred thousand in numpy columns,
or layers whose channels were rounded up to the blocks that a runtime works in.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from edgewright.graph.types import ITEM_BITS, LayerSpec, Shape

GATES: Mapping[str, int] = {"rnn": 1, "gru": 3, "lstm": 4}
POOLS = frozenset({"max_pool", "average_pool", "global_pool"})
CONVOLUTIONS = frozenset({"conv", "depthwise_conv", "transposed_conv"})
COMPUTED_PER_INPUT = frozenset({"normalization", "softmax", "reduction", "quantize"})
COMPUTED_PER_OUTPUT = frozenset({"unary", "binary", "resize", "dequantize", "cast"})


@dataclass(frozen=True, slots=True)
class Cost:
    """What a layer needs: multiply-accumulates and items, as ints or as columns.

    `input_items` counts the first input and `operand_items` the others; `parameter_items` the weights without a bias;
    `unrolled_items` the im2col matrix of a convolution (for a transposed one the matrix before col2im), else 0.
    """

    macs: Any
    input_items: Any
    operand_items: Any
    output_items: Any
    parameter_items: Any
    unrolled_items: Any


@dataclass(frozen=True, slots=True)
class Form:
    """How the layers of some kinds are laid out: names of the dimensions, and a layer's row of them."""

    names: tuple[str, ...]
    row: Callable[[LayerSpec], tuple[int, ...]]


def form_of(kind: str) -> Form:
    """The form of a kind: windowed, dense, matmul, recurrent, or plain for what only moves or maps items."""
    return _FORMS.get(kind, _PLAIN)


def is_plain(kind: str) -> bool:
    """Whether layers of this kind only move or map items: no window, no product, no recurrence."""
    return kind not in _FORMS


def dimensions(layer: LayerSpec) -> dict[str, int]:
    """The dimensions of a layer by name, in items."""
    form = form_of(layer.kind)
    return dict(zip(form.names, form.row(layer), strict=True))


def layer_cost(layer: LayerSpec) -> Cost:
    """Operations and items of one layer."""
    return cost(layer.kind, dimensions(layer))


def layer_bytes(layer: LayerSpec) -> int:
    """Bytes that a layer reads and writes at the least: inputs, outputs and parameters, each once."""
    needs = layer_cost(layer)
    items = needs.input_items + needs.operand_items + needs.output_items + needs.parameter_items
    return (int(items) * ITEM_BITS.get(layer.dtype, 32) + 7) // 8


def cost(kind: str, dims: Mapping[str, Any]) -> Cost:
    """Operations and items of layers of one kind from their dimensions, ints or numpy columns."""
    if kind in CONVOLUTIONS:
        return _convolution_cost(kind, dims)
    if kind in POOLS:
        return _pool_cost(dims)
    if kind == "fully_connected":
        return _dense_cost(dims)
    if kind == "matmul":
        return _matmul_cost(dims)
    if kind in GATES:
        return _recurrent_cost(kind, dims)
    return _plain_cost(kind, dims)


def _convolution_cost(kind: str, dims: Mapping[str, Any]) -> Cost:
    kernel = dims["kernel_h"] * dims["kernel_w"]
    per_group = dims["in_channels"] // dims["groups"]
    in_pixels = dims["batch"] * dims["in_height"] * dims["in_width"]
    out_pixels = dims["batch"] * dims["out_height"] * dims["out_width"]
    parameters = dims["out_channels"] * per_group * kernel
    transposed = kind == "transposed_conv"
    unrolled = dims["out_channels"] * in_pixels if transposed else dims["in_channels"] * out_pixels
    return Cost(
        macs=parameters * (in_pixels if transposed else out_pixels),
        input_items=dims["in_channels"] * in_pixels,
        operand_items=dims["operand_items"],
        output_items=dims["out_channels"] * out_pixels,
        parameter_items=parameters,
        unrolled_items=unrolled * kernel,
    )


def _pool_cost(dims: Mapping[str, Any]) -> Cost:
    outputs = dims["batch"] * dims["out_channels"] * dims["out_height"] * dims["out_width"]
    return Cost(
        macs=outputs * dims["kernel_h"] * dims["kernel_w"],
        input_items=dims["batch"] * dims["in_channels"] * dims["in_height"] * dims["in_width"],
        operand_items=dims["operand_items"],
        output_items=outputs,
        parameter_items=0 * outputs,
        unrolled_items=0 * outputs,
    )


def _dense_cost(dims: Mapping[str, Any]) -> Cost:
    parameters = dims["in_features"] * dims["out_features"]
    return Cost(
        macs=dims["rows"] * parameters,
        input_items=dims["rows"] * dims["in_features"],
        operand_items=dims["operand_items"],
        output_items=dims["rows"] * dims["out_features"],
        parameter_items=parameters,
        unrolled_items=0 * parameters,
    )


def _matmul_cost(dims: Mapping[str, Any]) -> Cost:
    outputs = dims["batch"] * dims["rows"] * dims["columns"]
    return Cost(
        macs=outputs * dims["inner"],
        input_items=dims["batch"] * dims["rows"] * dims["inner"],
        operand_items=dims["batch"] * dims["inner"] * dims["columns"],
        output_items=outputs,
        parameter_items=0 * outputs,
        unrolled_items=0 * outputs,
    )


def _recurrent_cost(kind: str, dims: Mapping[str, Any]) -> Cost:
    seen = dims["in_features"] + dims["hidden"]
    parameters = dims["directions"] * GATES[kind] * dims["hidden"] * seen
    steps = dims["steps"] * dims["batch"]
    return Cost(
        macs=steps * parameters,
        input_items=steps * dims["in_features"],
        operand_items=dims["operand_items"],
        output_items=steps * dims["directions"] * dims["hidden"],
        parameter_items=parameters,
        unrolled_items=0 * parameters,
    )


def _plain_cost(kind: str, dims: Mapping[str, Any]) -> Cost:
    inputs = dims["batch"] * dims["in_channels"] * dims["in_height"] * dims["in_width"]
    first = dims["out_batch"] * dims["out_channels"] * dims["out_height"] * dims["out_width"]
    outputs = first + dims["more_output_items"]
    macs = inputs if kind in COMPUTED_PER_INPUT else outputs if kind in COMPUTED_PER_OUTPUT else 0 * outputs
    return Cost(
        macs=macs,
        input_items=inputs,
        operand_items=dims["operand_items"],
        output_items=outputs,
        parameter_items=0 * outputs,
        unrolled_items=0 * outputs,
    )


def _windowed_row(layer: LayerSpec) -> tuple[int, ...]:
    """Two spatial axes; a single one is the width of height 1, and further ones are folded into the height."""
    given, made, window = layer.input, layer.output, layer.window
    if len(given) == 4 and len(made) == 4 and window is not None:
        (top, bottom), (left, right) = window.padding
        return (
            *given[:2], made[1], layer.groups, *window.kernel, *window.stride, *window.dilation,
            top, bottom, left, right, *given[2:], *made[2:], _operand_items(layer), 2,
        )  # fmt: skip
    (batch, in_channels, in_height, in_width), (_, out_channels, out_height, out_width) = _four(given), _four(made)
    if window is None:
        kernel, stride, dilation, padding = (in_height, in_width), (1, 1), (1, 1), (0, 0, 0, 0)
    else:
        kernel, stride, dilation = (_two(axis) for axis in (window.kernel, window.stride, window.dilation))
        before, after = (_two(tuple(pair[side] for pair in window.padding), 0) for side in (0, 1))
        padding = (before[0], after[0], before[1], after[1])
    return (
        batch, in_channels, out_channels, layer.groups, *kernel, *stride, *dilation, *padding,
        in_height, in_width, out_height, out_width, _operand_items(layer), len(given) - 2,
    )  # fmt: skip


def _dense_row(layer: LayerSpec) -> tuple[int, ...]:
    rows = prod(layer.input[:-1])
    return rows, _last(layer.input), _last(layer.output), _operand_items(layer)


def _matmul_row(layer: LayerSpec) -> tuple[int, ...]:
    made = layer.output
    rows = made[-2] if len(made) > 1 else 1
    return prod(made[:-2]), rows, _last(layer.input), _last(made), _operand_items(layer)


def _recurrent_row(layer: LayerSpec) -> tuple[int, ...]:
    steps, batch, features = (1, 1, 1, *layer.input)[-3:]
    directions, _, hidden = (1, 1, 1, *layer.output)[-3:]
    return steps, batch, features, hidden, directions, _operand_items(layer)


def _plain_row(layer: LayerSpec) -> tuple[int, ...]:
    given, made = layer.input, layer.output
    return (
        len(given), len(layer.inputs), len(layer.outputs), *_four(given), *_four(made), _operand_items(layer),
        sum(map(prod, layer.outputs[1:])), layer.groups,
    )  # fmt: skip


def _four(shape: Shape) -> Shape:
    """Batch, channels, height and width of any shape: absent axes are 1, and further ones fold into the height."""
    if len(shape) == 4:
        return shape
    batch, channels = (*shape[:-1], 1, 1)[:2]
    return batch, channels, prod(shape[2:-1]), _last(shape)


def _two(values: Shape, absent: int = 1) -> tuple[int, int]:
    fold = max if absent == 0 else prod
    return (fold(values[:-1]) if values[:-1] else absent), (values[-1] if values else absent)


def _last(shape: Shape) -> int:
    return shape[-1] if shape else 1


def _operand_items(layer: LayerSpec) -> int:
    return sum(map(prod, layer.inputs[1:])) if len(layer.inputs) > 1 else 0


_WINDOWED = Form(
    (
        "batch", "in_channels", "out_channels", "groups", "kernel_h", "kernel_w", "stride_h", "stride_w",
        "dilation_h", "dilation_w", "pad_top", "pad_bottom", "pad_left", "pad_right",
        "in_height", "in_width", "out_height", "out_width", "operand_items",
        "spatial_axes",
    ),
    _windowed_row,
)  # fmt: skip
_PLAIN = Form(
    (
        "rank", "inputs", "outputs", "batch", "in_channels", "in_height", "in_width",
        "out_batch", "out_channels", "out_height", "out_width", "operand_items", "more_output_items", "groups",
    ),
    _plain_row,
)  # fmt: skip
_DENSE = Form(("rows", "in_features", "out_features", "operand_items"), _dense_row)
_MATMUL = Form(("batch", "rows", "inner", "columns", "operand_items"), _matmul_row)
_RECURRENT = Form(("steps", "batch", "in_features", "hidden", "directions", "operand_items"), _recurrent_row)
_FORMS: Mapping[str, Form] = {
    **dict.fromkeys(CONVOLUTIONS | POOLS, _WINDOWED),
    "fully_connected": _DENSE,
    "matmul": _MATMUL,
    **dict.fromkeys(GATES, _RECURRENT),
}
