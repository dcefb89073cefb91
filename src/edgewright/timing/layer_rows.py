"""A layer as a flat row of texts, and back.

From what is given follows what is not: `kernel_w` is `kernel_h` (and the other way round; so for strides and
dilations, which are 1 where neither is given); padding is such that the output is as given, or else ceil(input /
stride) (`same`), unless `pad_*` or `padding` (`same`, `valid` or a number) say otherwise; `out_channels` is
`in_channels` for depthwise convolutions and pools; `groups`, `batch`, `rows` and `directions` are 1; the output
map follows from all these. A layer without `in_height` has one spatial axis, its width.
"""

from collections.abc import Mapping
from dataclasses import replace

from edgewright.graph.cost import CONVOLUTIONS, GATES, POOLS
from edgewright.graph.types import ITEM_BITS, KINDS, LayerSpec, Shape, Window

COLUMNS = (
    "kind", "variant", "dtype", "fused", "batch", "in_channels", "out_channels", "kernel_h", "kernel_w",
    "stride_h", "stride_w", "dilation_h", "dilation_w", "pad_top", "pad_bottom", "pad_left", "pad_right", "padding",
    "groups", "in_height", "in_width", "out_height", "out_width", "rows", "in_features", "out_features", "inner",
    "columns", "steps", "hidden", "directions", "inputs", "outputs", "kernel", "stride", "dilation", "pad_before",
    "pad_after",
)  # fmt: skip
ALIASES: Mapping[str, str] = {
    "conv2d": "conv", "conv1d": "conv", "depthwise_conv2d": "depthwise_conv", "dwconv": "depthwise_conv",
    "conv_transpose": "transposed_conv", "dense": "fully_connected", "linear": "fully_connected",
    "fc": "fully_connected", "gemm": "fully_connected", "maxpool": "max_pool", "avgpool": "average_pool",
}  # fmt: skip
AXES = (("h", "top", "bottom", "height"), ("w", "left", "right", "width"))
NONE = "none"
MOST = 2**40
"""No dimension of a layer is larger."""

Row = Mapping[str, str]


class BadCellError(ValueError):
    """A cell that makes no sense, by its column; becomes a DataError where the line is known."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(f"column {column}: {reason}")
        self.column, self.reason = column, reason


def row_to_layer(row: Row) -> LayerSpec:
    """The layer of a row. Raises BadCellError."""
    name = row.get("kind", "").lower()
    kind = ALIASES.get(name, name)
    if kind not in KINDS:
        near = "it is missing" if not name else f"{name!r} is no kind of layer"
        raise BadCellError("kind", near)
    layer = _shaped_layer(kind, row) if "inputs" in row else _flat_layer(kind, row)
    dtype = row.get("dtype", "float32").lower()
    if dtype not in ITEM_BITS:
        raise BadCellError("dtype", f"{dtype!r} is not known")
    fused = tuple(part for part in row.get("fused", "").replace("+", " ").split())
    return replace(layer, dtype=dtype, variant=row.get("variant", ""), fused=fused)


def layer_to_row(layer: LayerSpec) -> dict[str, str]:
    """The row of a layer: flat where that says it all, else its shapes; without empty cells."""
    names = {"kind": layer.kind, "variant": layer.variant, "fused": "+".join(layer.fused)}
    names |= {"dtype": "" if layer.dtype == "float32" else layer.dtype}
    groups = {"groups": str(layer.groups)} if layer.groups != 1 else {}
    for body in (_flat_row(layer), _shaped_row(layer)):
        row = {name: text for name, text in {**names, **groups, **body}.items() if text}
        try:
            if row_to_layer(row) == layer:
                break
        except BadCellError:
            continue
    return row


def _flat_layer(kind: str, row: Row) -> LayerSpec:
    if kind in CONVOLUTIONS | POOLS:
        return _windowed_layer(kind, row)
    if kind == "fully_connected":
        rows, seen = _count(row, "rows", 1), _count(row, "in_features", _given(row, "in_channels"))
        return LayerSpec(kind, ((rows, seen),), ((rows, _count(row, "out_features", _given(row, "out_channels"))),))
    if kind == "matmul":
        batch, rows, inner = _count(row, "batch", 1), _count(row, "rows", 1), _count(row, "inner")
        columns = _count(row, "columns")
        return LayerSpec(kind, ((batch, rows, inner), (batch, inner, columns)), ((batch, rows, columns),))
    if kind in GATES:
        steps, batch, directions = _count(row, "steps"), _count(row, "batch", 1), _count(row, "directions", 1)
        features, hidden = _count(row, "in_features", _given(row, "in_channels")), _count(row, "hidden")
        return LayerSpec(kind, ((steps, batch, features),), ((steps, directions, batch, hidden),))
    return _mapped_layer(kind, row)


def _mapped_layer(kind: str, row: Row) -> LayerSpec:
    """A layer that moves or maps items: the output is like the input where it is not given."""
    batch, channels, height, width = (
        _count(row, name, 1 if name == "batch" else None) for name in ("batch", "in_channels", "in_height", "in_width")
    )
    made = tuple(
        _count(row, name, default)
        for name, default in (("out_channels", channels), ("out_height", height), ("out_width", width))
    )
    given = (batch, channels, height, width)
    return LayerSpec(kind, (given, given) if kind == "binary" else (given,), ((batch, *made),))


def _windowed_layer(kind: str, row: Row) -> LayerSpec:
    axes = AXES if "in_height" in row else AXES[1:]
    batch, channels = _count(row, "batch", 1), _count(row, "in_channels")
    depthwise = kind == "depthwise_conv"
    made = _count(row, "out_channels", channels if depthwise or kind in POOLS else None)
    groups = _count(row, "groups", channels if depthwise else 1)
    given = tuple(_count(row, f"in_{axis[3]}") for axis in axes)
    if kind == "global_pool":
        return LayerSpec(kind, ((batch, channels, *given),), ((batch, made, *(1 for _ in axes)),))
    window, outputs = _window(kind, row, axes, given)
    if channels % groups or (kind in CONVOLUTIONS and made % groups):
        raise BadCellError("groups", f"{groups} groups do not divide the channels")
    if kind == "conv" and groups == channels > 1:
        kind = "depthwise_conv"
    return LayerSpec(kind, ((batch, channels, *given),), ((batch, made, *outputs),), window, groups)


def _window(kind: str, row: Row, axes: tuple[tuple[str, ...], ...], given: Shape) -> tuple[Window, Shape]:
    kernel = tuple(_along(row, "kernel", axis[0], None) for axis in axes)
    default = kernel if kind in POOLS else (1,) * len(axes)
    stride = tuple(_along(row, "stride", axis[0], value) for axis, value in zip(axes, default, strict=True))
    dilation = tuple(_along(row, "dilation", axis[0], 1) for axis in axes)
    bare = Window(kernel, stride, dilation, ((0, 0),) * len(axes))
    padding, outputs = [], []
    for index, axis in enumerate(axes):
        made = _count(row, f"out_{axis[3]}") if f"out_{axis[3]}" in row else None
        along = (given[index], bare.extent[index], stride[index])
        pads = _padding(row, axis, made, along, kind == "transposed_conv")
        padding.append(pads)
        outputs.append(made or _output(along, sum(pads), kind == "transposed_conv"))
        if outputs[-1] < 1:
            raise BadCellError(f"in_{axis[3]}", "the window does not fit into the input")
    return replace(bare, padding=tuple(padding)), tuple(outputs)


def _padding(row: Row, axis: tuple[str, ...], made: int | None, along: Shape, transposed: bool) -> tuple[int, int]:
    before, after = (f"pad_{side}" for side in axis[1:3])
    if before in row or after in row:
        first = _count(row, before, 0, least=0) if before in row else _count(row, after, least=0)
        return first, _count(row, after, first, least=0)
    asked = row.get("padding", "same")
    if asked.isdecimal():
        return int(asked), int(asked)
    if asked not in ("same", "valid"):
        raise BadCellError("padding", f"{asked!r} is not same, valid or a number")
    if asked == "valid":
        return 0, 0
    size, extent, stride = along
    wanted = made or (size * stride if transposed else -(-size // stride))
    total = (size - 1) * stride + extent - wanted if transposed else (wanted - 1) * stride + extent - size
    return max(total, 0) // 2, max(total, 0) - max(total, 0) // 2


def _output(along: Shape, padding: int, transposed: bool) -> int:
    size, extent, stride = along
    return (size - 1) * stride + extent - padding if transposed else (size + padding - extent) // stride + 1


def _along(row: Row, name: str, axis: str, default: int | None) -> int:
    """A size along one axis: its own column, or the other axis's, or the column for both."""
    other = {"h": "w", "w": "h"}[axis]
    for column in (f"{name}_{axis}", f"{name}_{other}", name):
        if column in row:
            return _count(row, column)
    return _count(row, f"{name}_{axis}", default)


def _given(row: Row, column: str) -> int | None:
    return _count(row, column) if column in row else None


def _count(row: Row, column: str, default: int | None = None, least: int = 1) -> int:
    if column not in row:
        if default is None:
            raise BadCellError(column, "it is missing")
        return default
    try:
        value = float(row[column])
    except ValueError:
        raise BadCellError(column, f"{row[column]!r} is not a number") from None
    if not least <= value <= MOST or value != int(value):
        raise BadCellError(column, f"{row[column]!r} is not a whole number from {least} on")
    return int(value)


def _flat_row(layer: LayerSpec) -> dict[str, str]:
    """The cells of a layer in the columns of its kind; they may not say it all, which the caller checks."""
    numbers: dict[str, int] = {}
    given, made = layer.input, layer.output
    if layer.kind in CONVOLUTIONS | POOLS and len(given) in (3, 4) and len(made) == len(given):
        axes = AXES[-len(given[2:]) :]
        numbers = {"batch": given[0], "in_channels": given[1], "out_channels": made[1]}
        for index, (short, before, after, long) in enumerate(axes):
            numbers |= {f"in_{long}": given[2 + index], f"out_{long}": made[2 + index]}
            if layer.window is not None and len(layer.window.kernel) == len(axes):
                window = layer.window
                numbers |= {f"kernel_{short}": window.kernel[index], f"stride_{short}": window.stride[index]}
                numbers |= {f"dilation_{short}": window.dilation[index]}
                numbers |= {f"pad_{before}": window.padding[index][0], f"pad_{after}": window.padding[index][1]}
    elif layer.kind == "fully_connected" and len(given) == len(made) == 2:
        numbers = {"rows": given[0], "in_features": given[1], "out_features": made[1]}
    elif layer.kind == "matmul" and len(given) == len(made) == 3:
        numbers = {"batch": given[0], "rows": given[1], "inner": given[2], "columns": made[2]}
    elif layer.kind in GATES and len(given) == 3 and len(made) == 4:
        numbers = {"steps": given[0], "batch": given[1], "in_features": given[2]}
        numbers |= {"hidden": made[3], "directions": made[1]}
    return {name: str(value) for name, value in numbers.items()}


def _shaped_layer(kind: str, row: Row) -> LayerSpec:
    inputs, outputs = (
        tuple(_shape(part, name) for part in row.get(name, NONE).split(";") if part != NONE)
        for name in ("inputs", "outputs")
    )
    window = None
    if "kernel" in row:
        kernel = _shape(row["kernel"], "kernel")
        ones, none = "x".join("1" * len(kernel)), "x".join("0" * len(kernel))
        stride, dilation = (_shape(row.get(name, ones), name) for name in ("stride", "dilation"))
        before, after = (_shape(row.get(name, none), name) for name in ("pad_before", "pad_after"))
        for name, values in (("stride", stride), ("dilation", dilation), ("pad_before", before), ("pad_after", after)):
            if len(values) != len(kernel):
                raise BadCellError(name, f"it must have {len(kernel)} values, as kernel has")
        window = Window(kernel, stride, dilation, tuple(zip(before, after, strict=True)))
    return LayerSpec(kind, inputs, outputs, window, _count(row, "groups", 1))


def _shaped_row(layer: LayerSpec) -> dict[str, str]:
    row = {
        name: ";".join(map(_text, shapes)) or NONE
        for name, shapes in (("inputs", layer.inputs), ("outputs", layer.outputs))
    }
    if layer.window is not None:
        window = layer.window
        row |= {name: _text(getattr(window, name)) for name in ("kernel", "stride", "dilation")}
        row |= {"pad_before": _text(tuple(pair[0] for pair in window.padding))}
        row |= {"pad_after": _text(tuple(pair[1] for pair in window.padding))}
    return row


def _shape(text: str, column: str) -> Shape:
    """A shape of `1x8x56x56`; a scalar's is `-`."""
    parts = [] if text.strip() == "-" else text.split("x")
    if not all(part.strip().isdecimal() and int(part) <= MOST for part in parts):
        raise BadCellError(column, f"{text!r} is not a shape such as 1x8x56x56")
    return tuple(map(int, parts))


def _text(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "-"
