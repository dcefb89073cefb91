"""Types of what ONNX Runtime's own ops make: each is inferred as the ONNX op that computes the same shape."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import onnx
from onnx import NodeProto, TensorProto, TypeProto

from edgewright.formats.onnx.inferring import infer_node
from edgewright.formats.onnx.values import Values, tensor_type
from edgewright.graph.types import Shape

MICROSOFT, NCHWC, NHWC = "com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc"
_ALWAYS_LAST = {"NhwcConv", "NhwcFusedConv", "NhwcMaxPool"}
_FLOAT = -1


class _StandIn(NamedTuple):
    """An ONNX op, the positions of the inputs it takes, and of the input that has the output's element type."""

    op_type: str
    inputs: tuple[int, ...]
    typed_by: int = 0


_STANDINS: Mapping[str, _StandIn] = MappingProxyType(
    {
        **{name: _StandIn("Conv", (0, 1)) for name in ("Conv", "FusedConv", "NhwcConv", "NhwcFusedConv")},
        "QLinearConv": _StandIn("Conv", (0, 3), 7),
        "MaxPool": _StandIn("MaxPool", (0,)),
        "NhwcMaxPool": _StandIn("MaxPool", (0,)),
        "AveragePool": _StandIn("AveragePool", (0,)),
        "QLinearAveragePool": _StandIn("AveragePool", (0,)),
        "GlobalAveragePool": _StandIn("GlobalAveragePool", (0,)),
        "GlobalMaxPool": _StandIn("GlobalMaxPool", (0,)),
        "QLinearGlobalAveragePool": _StandIn("GlobalAveragePool", (0,)),
        "FusedGemm": _StandIn("Gemm", (0, 1)),
        "QGemm": _StandIn("Gemm", (0, 3), 8),
        "MatMulIntegerToFloat": _StandIn("MatMul", (0, 1), _FLOAT),
        "DynamicQuantizeMatMul": _StandIn("MatMul", (0, 1), _FLOAT),
        "QLinearAdd": _StandIn("Add", (0, 3)),
        "QLinearMul": _StandIn("Mul", (0, 3)),
        "QLinearReduceMean": _StandIn("ReduceMean", (0,)),
    }
)
_SAME_SHAPE = {
    "Gelu", "FastGelu", "QuickGelu", "BiasGelu", "QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax",
    "SkipLayerNormalization", "SimplifiedLayerNormalization", "SkipSimplifiedLayerNormalization", "GroupNorm",
    "RotaryEmbedding", "BiasAdd", "BiasSoftmax", "MultiHeadAttention",
}  # fmt: skip


def is_channels_last(node: NodeProto) -> bool:
    """Whether the node's activations have their channels last, as ONNX Runtime lays some of them out."""
    flag = any(attribute.name == "channels_last" and attribute.i for attribute in node.attribute)
    return flag or node.domain == NHWC or node.op_type in _ALWAYS_LAST


def own_types(node: NodeProto, values: Values, opsets: Sequence[onnx.OperatorSetIdProto]) -> dict[str, TypeProto]:
    """Types of the outputs of an op of ONNX Runtime's own domains; nothing for any other op."""
    if node.domain not in {MICROSOFT, NCHWC, NHWC}:
        return {}
    if not node.input or not node.output:
        return {}
    if node.op_type in _RULES and node.domain != NHWC:
        try:
            found = _RULES[node.op_type](node, values)
        except (IndexError, KeyError, ValueError, TypeError):  # a node that is not what its op should be
            found = None
        return {} if found is None else {node.output[0]: found}
    if node.op_type == "QLinearConcat":
        rule = _StandIn("Concat", tuple(range(2, len(node.input), 3)), 2)
    elif node.op_type in _SAME_SHAPE:
        rule = _StandIn("Identity", (0,))
    elif node.op_type in _STANDINS:
        rule = _STANDINS[node.op_type]
    else:
        return {}
    return _by_standin(node, rule, values, opsets)


def _by_standin(
    node: NodeProto, rule: _StandIn, values: Values, opsets: Sequence[onnx.OperatorSetIdProto]
) -> dict[str, TypeProto]:
    names = [node.input[i] for i in rule.inputs if i < len(node.input)]
    shapes = [values.shape(name) for name in names]
    if len(names) < len(rule.inputs) or any(shape is None for shape in shapes):
        return {}
    last = is_channels_last(node) and rule.op_type not in {"Add", "Mul", "Concat", "Identity"}
    version = max((entry.version for entry in opsets if entry.domain in {"", "ai.onnx"}), default=1)
    known = onnx.defs.get_schema(rule.op_type, version).attributes
    standin = onnx.helper.make_node(rule.op_type, [f"i{i}" for i in range(len(names))], ["o"])
    standin.attribute.extend(attribute for attribute in node.attribute if attribute.name in known)
    types = {
        f"i{i}": tensor_type(TensorProto.FLOAT, _first(shape) if last and i == 0 else shape)
        for i, shape in enumerate(shapes)
        if shape is not None
    }
    found = infer_node(standin, types, {}, opsets).get("o")
    if found is None or not found.tensor_type.HasField("shape"):
        return {}
    shape = tuple(dim.dim_value for dim in found.tensor_type.shape.dim)
    return {node.output[0]: tensor_type(_elem_type(node, rule, values), _last(shape) if last else shape)}


def _elem_type(node: NodeProto, rule: _StandIn, values: Values) -> int:
    if rule.typed_by == _FLOAT or rule.typed_by >= len(node.input) or not node.input[rule.typed_by]:
        return int(TensorProto.FLOAT)
    kind = values.types.get(node.input[rule.typed_by])
    return int(kind.tensor_type.elem_type) if kind is not None else int(TensorProto.FLOAT)


def _first(shape: Shape) -> Shape:
    return (shape[0], shape[-1], *shape[1:-1]) if len(shape) > 2 else shape


def _last(shape: Shape) -> Shape:
    return (shape[0], *shape[2:], shape[1]) if len(shape) > 2 else shape


def _attribute(node: NodeProto, name: str, default: Any) -> Any:
    found = [attribute for attribute in node.attribute if attribute.name == name]
    return onnx.helper.get_attribute_value(found[0]) if found else default


def _like(node: NodeProto, values: Values, shape: Shape) -> TypeProto:
    return tensor_type(values.types[node.input[0]].tensor_type.elem_type, shape)


def _reorder_input(node: NodeProto, values: Values) -> TypeProto | None:
    shape = values.shape(node.input[0])
    return None if shape is None else _like(node, values, _first(shape) if is_channels_last(node) else shape)


def _reorder_output(node: NodeProto, values: Values) -> TypeProto | None:
    shape = values.shape(node.input[0])
    if shape is None or len(shape) < 3:
        return None
    shape = (shape[0], int(_attribute(node, "channels", shape[1])), *shape[2:])
    return _like(node, values, _last(shape) if is_channels_last(node) else shape)


def _upsample(node: NodeProto, values: Values) -> TypeProto | None:
    shape, scales = values.shape(node.input[0]), _attribute(node, "scales", [])
    if shape is None or len(scales) != len(shape):
        return None
    return _like(node, values, tuple(int(size * scale) for size, scale in zip(shape, scales, strict=True)))


def _fused_matmul(node: NodeProto, values: Values) -> TypeProto | None:
    left, right = values.shape(node.input[0]), values.shape(node.input[1])
    if left is None or right is None or min(len(left), len(right)) < 2:
        return None
    if _attribute(node, "transBatchA", 0) or _attribute(node, "transBatchB", 0):
        return None
    rows = left[-1] if _attribute(node, "transA", 0) else left[-2]
    columns = right[-2] if _attribute(node, "transB", 0) else right[-1]
    batch = max(left[:-2], right[:-2], key=len)
    return _like(node, values, (*batch, rows, columns))


def _matmul_n_bits(node: NodeProto, values: Values) -> TypeProto | None:
    shape, columns = values.shape(node.input[0]), _attribute(node, "N", None)
    return None if not shape or columns is None else _like(node, values, (*shape[:-1], int(columns)))


def _attention(node: NodeProto, values: Values) -> TypeProto | None:
    shape, weight = values.shape(node.input[0]), values.shape(node.input[1])
    if shape is None or weight is None or len(shape) != 3 or len(weight) != 2:
        return None
    hidden = _attribute(node, "qkv_hidden_sizes", [weight[1] // 3])[-1]
    return tensor_type(TensorProto.FLOAT, (*shape[:2], int(hidden)))


_RULES: Mapping[str, Callable[[NodeProto, Values], TypeProto | None]] = MappingProxyType(
    {
        "ReorderInput": _reorder_input,
        "ReorderOutput": _reorder_output,
        "Upsample": _upsample,
        "FusedMatMul": _fused_matmul,
        "MatMulNBits": _matmul_n_bits,
        "Attention": _attention,
        "QAttention": _attention,
    }
)
