"""Attributes of each kind of op in the words that `ops` documents."""

import re
from collections.abc import Callable, Mapping
from math import isfinite, prod
from types import MappingProxyType
from typing import Any

from edgewright.formats.onnx.nodes import Node, in_range
from edgewright.formats.onnx.windows import output_padding_of, spatial_of

_OPERANDS: Mapping[str, int] = MappingProxyType(
    {
        **dict.fromkeys(("Slice", "Pad", "Reshape", "Resize", "Upsample", "Clip", "Split", "Squeeze", "Unsqueeze"), 1),
        **dict.fromkeys(("Expand", "Tile", "Dropout", "CastLike"), 1),
        **dict.fromkeys(("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean"), 1),
        **dict.fromkeys(("ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"), 1),
    }
)
"""How many of a node's first inputs are operands, where those after them say how to compute."""


def operand_count(node: Node) -> int:
    """How many of a node's first inputs are operands; those after them are in the attributes, where constant."""
    count = _OPERANDS.get(node.op_type, len(node.proto.input))
    computed = [i for i, name in enumerate(node.proto.input) if name and not node.values.is_constant(name)]
    return max([count, *(i + 1 for i in computed)])


RESULTS: Mapping[str, int] = MappingProxyType({"Dropout": 1, "BatchNormalization": 1})
"""How many of a node's outputs there are in inference, where it has more in training."""

_STEERED = {"slice": (1, 2, 3, 4), "pad": (1, 2, 3), "split": (1,), "reduction": (1,)}
"""Inputs whose value must be known for the op to be understood."""


def is_readable(kind: str, node: Node) -> bool:
    """Whether everything that says how to compute is known, and operands and ranks are as many as they must be."""
    if len(node.proto.input) <= max(_FEWEST_INPUTS.get(kind, 1) - 1, *_quantized_operands(node), 0):
        return False
    if "conv" in kind or kind in {"max_pool", "average_pool", "global_pool"}:
        return node.rank >= 3
    if node.op_type not in _OPERANDS:
        return True
    steered = _STEERED.get(kind, ())
    return all(node.value(i) is not None for i in steered if node.name(i))


def attributes_of(kind: str, node: Node) -> dict[str, Any]:
    """The neutral attributes of a node; the key `variant` overrides the op's variant.

    Raises ValueError, TypeError or IndexError where the node's attributes do not fit its operands.
    """
    rule = _RULES.get(kind)
    found = rule(node) if rule is not None else {}
    operands = _quantized_operands(node)
    return found | ({"operands": operands} if operands else {}) | _scales(node)


_FEWEST_INPUTS = {"conv": 2, "transposed_conv": 2, "matmul": 2, "gather": 2, "gru": 3, "lstm": 3, "rnn": 3}

_SCALES = {"QLinearConv": (1, 6), "QLinearMatMul": (1, 6), "QGemm": (1, 7), "QLinearAdd": (1, 6), "QLinearMul": (1, 6),
           "QuantizeLinear": (None, 1), "DequantizeLinear": (1, None)}  # fmt: skip
"""Positions of the scales of a quantized op's first operand and output; zero points stand behind them."""


def _scales(node: Node) -> dict[str, Any]:
    """Scale and zero point of the first operand and of the output, where there is one for the whole tensor."""
    op_type = node.op_type
    single = (1, 3) if op_type.startswith("QLinear") and op_type != "QLinearConcat" else (None, None)
    concat = (3, 0) if op_type == "QLinearConcat" else single
    found: dict[str, Any] = {}
    for side, index in zip(("input", "output"), _SCALES.get(op_type, concat), strict=True):
        if index is None:
            continue
        scale, zero_point = node.value(index), node.value(index + 1)
        if scale is None or scale.size != 1 or (node.name(index + 1) and zero_point is None):
            continue
        found[f"{side}_scale"] = float(scale.reshape(-1)[0])
        found[f"{side}_zero_point"] = int(zero_point.reshape(-1)[0]) if zero_point is not None else 0
    return found


def _quantized_operands(node: Node) -> tuple[int, ...]:
    """Positions of data and weights in a quantized op, whose scales and zero points stand between them."""
    if node.op_type in {"QLinearConv", "QLinearMatMul", "QLinearAdd", "QLinearMul", "QGemm"}:
        return (0, 3)
    if node.op_type == "QLinearConcat":
        return tuple(range(2, len(node.proto.input), 3))
    single = node.op_type.startswith("QLinear") or node.op_type in {"QuantizeLinear", "DequantizeLinear"}
    return (0,) if single else ()


def snake(name: str) -> str:
    """`LeakyRelu` as `leaky_relu`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def groups_of(node: Node) -> int:
    return int(node.attributes.get("group", 1))


def _fused(node: Node) -> tuple[str, ...]:
    """What ONNX Runtime folded into the op: a sum (the fourth input), an activation."""
    added = ("add",) if node.op_type in {"Conv", "FusedConv", "NhwcFusedConv"} and node.name(3) else ()
    activation = str(node.attributes.get("activation", ""))
    return (*added, snake(activation)) if activation else added


def _conv(node: Node) -> dict[str, Any]:
    return {"groups": groups_of(node), "fused": _fused(node)}


def _transposed_conv(node: Node) -> dict[str, Any]:
    rank = len(spatial_of(node.shape(), node.channels_last))
    return {"groups": groups_of(node), "output_padding": output_padding_of(node, rank), "fused": _fused(node)}


def _product(node: Node) -> dict[str, Any]:
    found = node.attributes
    return {
        "transpose_a": bool(found.get("transA", 0)),
        "transpose_b": bool(found.get("transB", 0)),
        "alpha": float(found.get("alpha", 1.0)),
        "beta": float(found.get("beta", 1.0)),
        "fused": _fused(node),
    }


def _pool(node: Node) -> dict[str, Any]:
    found = node.attributes
    return {
        "ceil_mode": bool(found.get("ceil_mode", 0)),
        "count_include_pad": bool(found.get("count_include_pad", 0)),
    }


def _unary(node: Node) -> dict[str, Any]:
    if node.op_type == "Clip":
        return {"min": _bound(node, "min", 1), "max": _bound(node, "max", 2)}
    numbers = {key: value for key, value in node.attributes.items() if isinstance(value, int | float)}
    return numbers | {key: value for key, value in node.attributes.items() if key == "approximate"}


def _binary(node: Node) -> dict[str, Any]:
    value = node.value(1) if node.op_type == "Pow" else None
    return {"exponent": float(value.reshape(-1)[0])} if value is not None and value.size == 1 else {}


def _bound(node: Node, name: str, index: int) -> float | None:
    """A bound of Clip; one that is no bound (the largest float, in old models) is None."""
    value = node.number(name, index)
    return value if value is not None and isfinite(value) and abs(value) < 3e38 else None


def _normalization(node: Node) -> dict[str, Any]:
    found = node.attributes
    attributes: dict[str, Any] = {"epsilon": float(found.get("epsilon", 1e-5)), "axes": _statistics_axes(node)}
    if node.op_type in {"GroupNormalization", "GroupNorm"}:
        attributes["groups"] = int(found.get("num_groups", found.get("groups", 1)))
    if node.op_type == "LRN":
        attributes |= {"size": int(found.get("size", 1)), "alpha": float(found.get("alpha", 1e-4))}
        attributes |= {"beta": float(found.get("beta", 0.75)), "bias": float(found.get("bias", 1.0))}
    return attributes


def _statistics_axes(node: Node) -> tuple[int, ...]:
    if node.op_type == "BatchNormalization":
        return ()
    if node.op_type in {"InstanceNormalization", "GroupNormalization", "GroupNorm"}:
        return tuple(range(2 if node.op_type == "InstanceNormalization" else 1, node.rank))
    if node.op_type == "LRN":
        return (1,)
    if node.op_type == "LpNormalization":
        return (node.axis(default=-1),)
    if node.op_type == "MeanVarianceNormalization":
        return node.wrapped(tuple(node.attributes.get("axes", (0, 2, 3))))
    return tuple(range(node.axis(default=-1), node.rank))


def _softmax(node: Node) -> dict[str, Any]:
    if node.opset >= 13 and node.op_type != "QLinearSoftmax":
        return {"axes": (node.axis(default=-1),)}
    if node.op_type == "QLinearSoftmax" and int(node.attributes.get("opset", 13)) >= 13:
        return {"axes": (node.axis(default=-1),)}
    return {"axes": tuple(range(node.axis(default=1), node.rank))}


def _reduction(node: Node) -> dict[str, Any]:
    keepdims = bool(node.attributes.get("keepdims", 1))
    if node.op_type.startswith("Arg"):
        return {"axes": (node.axis(),), "keepdims": keepdims}
    axes = node.integers("axes", 1)
    if not axes and not node.attributes.get("noop_with_empty_axes", 0):
        axes = tuple(range(node.rank))
    return {"axes": node.wrapped(axes or ()), "keepdims": keepdims}


def _resize(node: Node) -> dict[str, Any]:
    scales = node.value(2 if len(node.proto.input) > 2 else 1)
    sizes = zip(node.output_shape(), node.shape(), strict=True)
    given = node.attributes.get("scales", None if scales is None or scales.size != node.rank else scales.tolist())
    found = node.attributes
    mode = found.get("mode", "nearest")
    coordinates = found.get("coordinate_transformation_mode", "asymmetric" if _is_old(node) else "half_pixel")
    attributes: dict[str, Any] = {
        "variant": mode,
        "scales": tuple(map(float, given)) if given is not None else tuple(out / max(size, 1) for out, size in sizes),
        "coordinates": coordinates,
    }
    if mode == "nearest":
        attributes["rounding"] = found.get("nearest_mode", "floor" if _is_old(node) else "round_prefer_floor")
    extra = ("antialias", "exclude_outside", "cubic_coeff_a", "extrapolation_value")
    return attributes | {key: found[key] for key in extra if key in found and mode != "nearest"}


def _is_old(node: Node) -> bool:
    return node.op_type == "Upsample" or node.opset < 11


def _concat(node: Node) -> dict[str, Any]:
    rank = len(node.output_shape())
    positions = _quantized_operands(node) or range(len(node.proto.input))
    if any(len(node.shape(position)) != rank for position in positions):
        raise ValueError("operands of different rank")
    return {"axis": in_range(int(node.attributes.get("axis", 1)), rank)}


def _split(node: Node) -> dict[str, Any]:
    axis = node.axis()
    shapes = [node.values.shape(name) or () for name in node.proto.output]
    return {"axis": axis, "sizes": tuple(shape[axis] for shape in shapes)}


def _slice(node: Node) -> dict[str, Any]:
    starts, ends = node.integers("starts", 1) or (), node.integers("ends", 2) or ()
    axes = node.integers("axes", 3) or tuple(range(len(starts)))
    steps = node.integers("steps", 4) or (1,) * len(starts)
    shape = node.shape()
    parts = []
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        begin, stop, stride = slice(start, end, step).indices(shape[axis])
        parts.append((in_range(axis, node.rank), begin, stop, stride))
    parts.sort()
    columns = tuple(zip(*parts, strict=True)) or ((), (), (), ())
    return dict(zip(("axes", "starts", "ends", "steps"), columns, strict=True))


def _pad(node: Node) -> dict[str, Any]:
    pads = node.integers("pads", 1) or (0,) * (2 * node.rank)
    half = len(pads) // 2
    axes = node.integers("axes", 3)
    axes = tuple(range(half)) if axes is None else tuple(in_range(axis, node.rank) for axis in axes)
    pairs = dict(zip(axes, zip(pads[:half], pads[half:], strict=True), strict=True))
    value = node.number("value", 2)
    return {
        "variant": node.attributes.get("mode", "constant"),
        "padding": tuple(pairs.get(axis, (0, 0)) for axis in range(node.rank)),
        "value": value if value is not None else 0.0,
    }


def _transpose(node: Node) -> dict[str, Any]:
    perm = tuple(node.attributes.get("perm", range(node.rank - 1, -1, -1)))
    if sorted(perm) != list(range(node.rank)):
        raise ValueError(f"{perm} does not permute {node.rank} axes")
    return {"perm": perm}


def _reorder(node: Node) -> dict[str, Any]:
    if node.op_type.startswith("Reorder"):
        return {}
    found = {"block_size": int(node.attributes.get("blocksize", 1))}
    return found | ({"mode": node.attributes.get("mode", "DCR").lower()} if node.op_type == "DepthToSpace" else {})


def _gather(node: Node) -> dict[str, Any]:
    return {} if node.op_type == "GatherND" else {"axis": node.axis()}


def _recurrent(node: Node) -> dict[str, Any]:
    found = node.attributes
    return {
        "hidden_size": node.shape(2)[-1],
        "direction": found.get("direction", "forward"),
        "layout": int(found.get("layout", 0)),
        "linear_before_reset": bool(found.get("linear_before_reset", 0)),
    }


def _quantization(node: Node) -> dict[str, Any]:
    is_whole = node.op_type == "DynamicQuantizeLinear" or prod(node.shape(1)) == 1
    return {} if is_whole else {"axis": node.axis(default=1)}


_RULES: Mapping[str, Callable[[Node], dict[str, Any]]] = MappingProxyType(
    {
        "conv": _conv, "depthwise_conv": _conv, "transposed_conv": _transposed_conv, "matmul": _product,
        "fully_connected": _product, "max_pool": _pool, "average_pool": _pool, "unary": _unary,
        "binary": _binary,
        "normalization": _normalization, "softmax": _softmax, "reduction": _reduction, "resize": _resize,
        "concat": _concat, "split": _split, "slice": _slice, "pad": _pad, "transpose": _transpose,
        "reorder": _reorder, "gather": _gather, "gru": _recurrent, "lstm": _recurrent, "rnn": _recurrent,
        "quantize": _quantization, "dequantize": _quantization,
    }
)  # fmt: skip
