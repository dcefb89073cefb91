"""Nodes as ops: kinds, variants, operands, and attributes in neutral words.

`Op.inputs` are a node's first inputs: data, weights, quantization. Inputs after them that say how to compute (axes,
pads, sizes, bounds) are constant in nearly every network; they are left out of `inputs` and found in the attributes.

- conv, depthwise_conv (variant empty, qlinear, integer): groups; fused, what was folded in, in order (`add`, `relu`)
- transposed_conv: groups, output_padding, fused
- fully_connected, matmul (empty, qlinear, integer, dynamic, n_bits): transpose_a, transpose_b, alpha, beta, fused
- max_pool, average_pool: ceil_mode, count_include_pad
- global_pool (average, max, lp): none
- unary (relu, clip, ...): its numbers by their ONNX names: alpha, beta, min, max (None where unbounded)
- binary (add, mul, where, ...): exponent, of pow with one that is constant
- normalization (batch_normalization, ...): epsilon; axes, over which it takes statistics (none where they are stored);
  groups of group normalization; size, alpha, beta, bias of lrn
- softmax (softmax, log_softmax, hardmax): axes
- reduction (mean, sum, max, arg_max, ...): axes, keepdims
- resize (nearest, linear, cubic): scales, one for each axis; coordinates; rounding, of nearest
- concat: axis
- split: axis, sizes
- slice: axes, starts, ends, steps; starts and ends lie inside the tensor
- pad (constant, reflect, edge, wrap): padding, a pair for each axis, negative where it crops; value, as it is stored
- transpose: perm
- reorder (to_blocked, from_blocked, depth_to_space, space_to_depth): block_size, mode (dcr, crd) of the last two
- gather (gather, gather_elements, gather_nd): axis
- gru, lstm, rnn: hidden_size, direction, layout, linear_before_reset
- quantize, dequantize: axis, where there is a scale for each channel
- other (the op in snake case): control_flow for If, Loop, Scan, whose inputs end with what their bodies read

Quantized ops have `operands`, the positions of data and weights in `inputs`, as scales and zero points stand between
them, and `input_scale`, `input_zero_point`, `output_scale`, `output_zero_point` where there is one for the tensor.
Ops whose activations have their channels last are told by the axes of their tensors.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from edgewright.formats.onnx import attributes as rules
from edgewright.formats.onnx.nodes import Node
from edgewright.formats.onnx.reading import has_subgraph, reads
from edgewright.formats.onnx.standins import MICROSOFT, NCHWC, NHWC
from edgewright.formats.onnx.windows import window_of
from edgewright.graph.types import Op

_OP_TYPES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "conv": ("Conv", "FusedConv", "NhwcConv", "NhwcFusedConv", "QLinearConv", "ConvInteger"),
        "transposed_conv": ("ConvTranspose",),
        "matmul": ("Gemm", "MatMul", "FusedGemm", "FusedMatMul", "QGemm", "QLinearMatMul", "MatMulInteger",
                   "DynamicQuantizeMatMul", "MatMulIntegerToFloat", "MatMulNBits"),
        "max_pool": ("MaxPool", "NhwcMaxPool"),
        "average_pool": ("AveragePool", "QLinearAveragePool"),
        "global_pool": ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool", "QLinearGlobalAveragePool"),
        "unary": ("Relu", "LeakyRelu", "PRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Elu", "Selu", "Celu",
                  "Softplus", "Softsign", "Mish", "Gelu", "Swish", "ThresholdedRelu", "Clip", "Abs", "Neg", "Exp",
                  "Log", "Sqrt", "Reciprocal", "Floor", "Ceil", "Round", "Sign", "Sin", "Cos", "Tan", "Asin", "Acos",
                  "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh", "Erf", "Not", "IsNaN", "IsInf", "BitwiseNot",
                  "Shrink", "FastGelu", "QuickGelu", "BiasGelu", "QLinearSigmoid", "QLinearLeakyRelu"),
        "binary": ("Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Sum", "Mean", "And", "Or", "Xor", "Equal",
                   "Greater", "Less", "GreaterOrEqual", "LessOrEqual", "Mod", "BitShift", "BitwiseAnd", "BitwiseOr",
                   "BitwiseXor", "Where", "QLinearAdd", "QLinearMul", "BiasAdd"),
        "normalization": ("BatchNormalization", "InstanceNormalization", "LayerNormalization", "GroupNormalization",
                          "LRN", "LpNormalization", "MeanVarianceNormalization", "RMSNormalization", "GroupNorm",
                          "SkipLayerNormalization", "SimplifiedLayerNormalization", "SkipSimplifiedLayerNormalization"),
        "softmax": ("Softmax", "LogSoftmax", "Hardmax", "QLinearSoftmax"),
        "reduction": ("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
                      "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare", "ArgMax", "ArgMin",
                      "QLinearReduceMean"),
        "resize": ("Resize", "Upsample"),
        "concat": ("Concat", "QLinearConcat"),
        "split": ("Split",),
        "slice": ("Slice",),
        "pad": ("Pad",),
        "transpose": ("Transpose",),
        "reorder": ("ReorderInput", "ReorderOutput", "DepthToSpace", "SpaceToDepth"),
        "gather": ("Gather", "GatherElements", "GatherND"),
        "expand": ("Expand", "Tile"),
        "copy": ("Identity", "Dropout"),
        "cast": ("Cast", "CastLike"),
        "reshape": ("Reshape", "Flatten", "Squeeze", "Unsqueeze"),
        "gru": ("GRU",),
        "lstm": ("LSTM",),
        "rnn": ("RNN",),
        "quantize": ("QuantizeLinear", "DynamicQuantizeLinear"),
        "dequantize": ("DequantizeLinear",),
    }
)  # fmt: skip
_KINDS: Mapping[str, str] = MappingProxyType(
    {op_type: kind for kind, op_types in _OP_TYPES.items() for op_type in op_types}
)
_WINDOWED = {"conv", "depthwise_conv", "transposed_conv", "max_pool", "average_pool"}
_VARIANTS: Mapping[str, str] = MappingProxyType(
    {
        "PRelu": "prelu", "LRN": "lrn", "IsNaN": "is_nan", "GatherND": "gather_nd", "GlobalAveragePool": "average",
        "GlobalMaxPool": "max", "GlobalLpPool": "lp", "QLinearGlobalAveragePool": "average",
        "ReorderInput": "to_blocked", "ReorderOutput": "from_blocked", "ReduceL1": "l1", "ReduceL2": "l2",
        "RMSNormalization": "rms_normalization", "BiasAdd": "add", "Sum": "add",
        "QLinearConv": "qlinear", "ConvInteger": "integer",
        "MatMulInteger": "integer", "QLinearMatMul": "qlinear", "QGemm": "qlinear", "DynamicQuantizeMatMul": "dynamic",
        "MatMulIntegerToFloat": "integer", "MatMulNBits": "n_bits",
    }
)  # fmt: skip
_PLAIN_VARIANT = {"conv", "depthwise_conv", "transposed_conv", "fully_connected", "matmul", "max_pool", "average_pool",
                  "concat", "split", "slice", "transpose", "copy", "cast", "gru", "lstm", "rnn"}  # fmt: skip


def op_of(node: Node) -> Op:
    """The node as an op; `other` where its op, the size of a tensor or what its attributes say is not known."""
    if _is_understood(node):
        try:
            return _understood(node)
        except (ValueError, TypeError, IndexError):  # attributes that do not fit the operands
            pass
    proto = node.proto
    found: dict[str, Any] = {"control_flow": True} if has_subgraph(proto) else {}
    captured = [name for name in reads(proto) if name not in proto.input]
    inputs = (*proto.input, *captured)
    return Op(proto.name, "other", inputs, tuple(proto.output), None, rules.snake(node.op_type), found)


def _understood(node: Node) -> Op:
    proto, kind = node.proto, _kind(node)
    weight = node.shape(_weight_index(node)) if "conv" in kind else None
    window = window_of(node, weight) if kind in _WINDOWED else None
    inputs = tuple(proto.input[: rules.operand_count(node)])
    outputs = tuple(proto.output[: rules.RESULTS.get(node.op_type, len(proto.output))])
    found = rules.attributes_of(kind, node)
    variant = found.pop("variant", None) or _variant(node, kind)
    return Op(proto.name, kind, inputs, outputs, window, variant, found)


def _is_understood(node: Node) -> bool:
    proto, values = node.proto, node.values
    results = proto.output[: rules.RESULTS.get(node.op_type, len(proto.output))]
    if proto.domain not in {"", "ai.onnx", MICROSOFT, NCHWC, NHWC} or node.op_type not in _KINDS:
        return False
    if any(values.shape(name) is None for name in (*proto.input, *results) if name):
        return False
    if len(proto.input) == 0 or len(proto.output) == 0:
        return False
    return rules.is_readable(_KINDS[node.op_type], node)


def _kind(node: Node) -> str:
    kind = _KINDS[node.op_type]
    if kind == "conv":
        # By the weight, as a blocked layout rounds channels and groups up.
        return "depthwise_conv" if rules.groups_of(node) > 1 == node.shape(_weight_index(node))[1] else "conv"
    if kind == "matmul" and node.values.is_constant(node.name(_weight_index(node))):
        return "fully_connected"
    if node.op_type == "PRelu" and not node.values.is_constant(node.name(1)):
        return "binary"
    return kind


def _weight_index(node: Node) -> int:
    return 3 if node.op_type in {"QLinearConv", "QLinearMatMul", "QGemm"} else 1


def _variant(node: Node, kind: str) -> str:
    if node.op_type in _VARIANTS:
        return _VARIANTS[node.op_type]
    if kind in _PLAIN_VARIANT:
        return ""
    return rules.snake(node.op_type.removeprefix("Reduce").removeprefix("QLinear"))
