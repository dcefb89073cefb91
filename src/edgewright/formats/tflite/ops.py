"""Operators as ops, in the kinds, variants and attributes that `formats.onnx.ops` documents.

`Op.inputs` are data and weights, data first, whatever their order in the file. Constants that say how to compute
(paddings, axes, sizes) are found in the attributes. An op is named after its first output, as files name no ops.

What TFLite has besides: `fused` on any op, the activation that it applies to its result; `input_scale`,
`input_zero_point`, `output_scale`, `output_zero_point` on every op that computes with integers; `control_flow` on ops
that run other subgraphs. ReLU6 and its like are `clip`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from edgewright.errors import ModelError
from edgewright.formats.tflite.attributes import attributes_of, groups_of, window_of
from edgewright.formats.tflite.fitting import check_shapes
from edgewright.formats.tflite.operators import Operator
from edgewright.graph.types import Op

CONTROL_FLOW = frozenset({"IF", "WHILE", "CALL", "CALL_ONCE", "STABLEHLO_WHILE", "STABLEHLO_CASE", "STABLEHLO_REDUCE",
                          "STABLEHLO_REDUCE_WINDOW", "STABLEHLO_SORT", "STABLEHLO_SCATTER",
                          "STABLEHLO_COMPOSITE"})  # fmt: skip
"""Operators that run other subgraphs of the model."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """What an operator is: `operands` are the positions of data and weights among its inputs, None for all of them."""

    kind: str
    variant: str = ""
    operands: tuple[int, ...] | None = None


_FIRST = (0,)
_RULES: Mapping[str, _Rule] = MappingProxyType(
    {
        "CONV_2D": _Rule("conv"),
        "CONV_3D": _Rule("conv"),
        "DEPTHWISE_CONV_2D": _Rule("depthwise_conv"),
        "TRANSPOSE_CONV": _Rule("transposed_conv", "", (2, 1, 3)),
        "FULLY_CONNECTED": _Rule("fully_connected"),
        "BATCH_MATMUL": _Rule("matmul"),
        "MAX_POOL_2D": _Rule("max_pool"),
        "AVERAGE_POOL_2D": _Rule("average_pool"),
        "PRELU": _Rule("unary", "prelu"),
        "L2_NORMALIZATION": _Rule("normalization", "lp_normalization"),
        "LOCAL_RESPONSE_NORMALIZATION": _Rule("normalization", "lrn"),
        "SOFTMAX": _Rule("softmax", "softmax"),
        "LOG_SOFTMAX": _Rule("softmax", "log_softmax"),
        "RESIZE_BILINEAR": _Rule("resize", "linear", _FIRST),
        "RESIZE_NEAREST_NEIGHBOR": _Rule("resize", "nearest", _FIRST),
        "CONCATENATION": _Rule("concat"),
        "SPLIT": _Rule("split", "", (1,)),
        "SPLIT_V": _Rule("split", "", _FIRST),
        "SLICE": _Rule("slice", "", _FIRST),
        "STRIDED_SLICE": _Rule("slice", "", _FIRST),
        "PAD": _Rule("pad", "constant", _FIRST),
        "PADV2": _Rule("pad", "constant", _FIRST),
        "MIRROR_PAD": _Rule("pad", "reflect", _FIRST),
        "TRANSPOSE": _Rule("transpose", "", _FIRST),
        "SPACE_TO_DEPTH": _Rule("reorder", "space_to_depth"),
        "DEPTH_TO_SPACE": _Rule("reorder", "depth_to_space"),
        "GATHER": _Rule("gather", "gather"),
        "GATHER_ND": _Rule("gather", "gather_nd"),
        "TILE": _Rule("expand", "tile", _FIRST),
        "BROADCAST_TO": _Rule("expand", "expand", _FIRST),
        "CAST": _Rule("cast"),
        "RESHAPE": _Rule("reshape", "reshape", _FIRST),
        "SQUEEZE": _Rule("reshape", "squeeze", _FIRST),
        "EXPAND_DIMS": _Rule("reshape", "unsqueeze", _FIRST),
        "UNIDIRECTIONAL_SEQUENCE_LSTM": _Rule("lstm"),
        "UNIDIRECTIONAL_SEQUENCE_RNN": _Rule("rnn"),
        "QUANTIZE": _Rule("quantize", "quantize_linear"),
        "DEQUANTIZE": _Rule("dequantize", "dequantize_linear"),
        **{name: _Rule("unary", variant) for name, variant in (
            ("RELU", "relu"), ("RELU6", "clip"), ("RELU_N1_TO_1", "clip"), ("RELU_0_TO_1", "clip"),
            ("LEAKY_RELU", "leaky_relu"), ("LOGISTIC", "sigmoid"), ("TANH", "tanh"), ("HARD_SWISH", "hard_swish"),
            ("ELU", "elu"), ("GELU", "gelu"), ("ABS", "abs"), ("NEG", "neg"), ("EXP", "exp"), ("LOG", "log"),
            ("SQRT", "sqrt"), ("RSQRT", "rsqrt"), ("SQUARE", "square"), ("FLOOR", "floor"), ("CEIL", "ceil"),
            ("ROUND", "round"), ("SIN", "sin"), ("COS", "cos"), ("SIGN", "sign"), ("LOGICAL_NOT", "not"),
        )},
        **{name: _Rule("binary", variant) for name, variant in (
            ("ADD", "add"), ("SUB", "sub"), ("MUL", "mul"), ("DIV", "div"), ("POW", "pow"), ("MINIMUM", "min"),
            ("MAXIMUM", "max"), ("FLOOR_DIV", "floor_div"), ("FLOOR_MOD", "mod"), ("ADD_N", "add"),
            ("SQUARED_DIFFERENCE", "squared_difference"), ("EQUAL", "equal"), ("NOT_EQUAL", "not_equal"),
            ("LESS", "less"), ("LESS_EQUAL", "less_or_equal"), ("GREATER", "greater"),
            ("GREATER_EQUAL", "greater_or_equal"), ("LOGICAL_AND", "and"), ("LOGICAL_OR", "or"),
            ("SELECT_V2", "where"), ("ATAN2", "atan2"), ("BITWISE_XOR", "bitwise_xor"),
        )},
        **{name: _Rule("reduction", variant, _FIRST) for name, variant in (
            ("MEAN", "mean"), ("SUM", "sum"), ("REDUCE_MAX", "max"), ("REDUCE_MIN", "min"), ("REDUCE_PROD", "prod"),
            ("REDUCE_ANY", "any"), ("REDUCE_ALL", "all"), ("ARG_MAX", "arg_max"), ("ARG_MIN", "arg_min"),
        )},
    }
)  # fmt: skip
_WINDOWED = frozenset({"conv", "depthwise_conv", "transposed_conv", "max_pool", "average_pool"})
_LEAST_RANK = {**dict.fromkeys(_WINDOWED, 3), "resize": 4, "reorder": 4}
_FEWEST = {"conv": 2, "depthwise_conv": 2, "transposed_conv": 3, "fully_connected": 2, "matmul": 2, "binary": 2,
           "gather": 2, "lstm": 20, "rnn": 5}  # fmt: skip
"""The inputs that an operator of each kind has at the least."""

_MISFITS = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, ModelError)


def operands_of(operator: Operator) -> tuple[int, ...]:
    """Positions, among the operator's inputs, of the op's inputs one by one."""
    rule = _RULES.get(operator.builtin)
    everything = tuple(range(len(operator.inputs)))
    if rule is None or rule.operands is None or not _is_steered_by_constants(operator, rule):
        return everything
    return tuple(position for position in rule.operands if position in everything)


def op_of(operator: Operator, name: str, is_shaped: bool = True) -> Op:
    """The operator as an op; `other` where it, or what its options and operands say, is not known.

    `is_shaped` is false where the shapes of its outputs are yet to be found.
    """
    names = operator.tensors.names
    inputs = tuple(operator.tensors.name(operator.inputs[position]) for position in operands_of(operator))
    outputs = tuple(names[index] if index >= 0 else "" for index in operator.outputs)
    rule = _RULES.get(operator.builtin)
    if rule is not None and operator.outputs and -1 not in operator.outputs:
        try:
            op = _understood(operator, rule, Op(name, rule.kind, inputs, outputs, None, rule.variant))
            if is_shaped:
                check_shapes(op, operator.tensors)
            return op
        except _MISFITS:  # options that do not fit the operands
            pass
    variant = operator.custom if operator.builtin == "CUSTOM" else operator.builtin.lower()
    everything = tuple(operator.tensors.name(index) for index in operator.inputs)
    found = {"control_flow": True} if operator.builtin in CONTROL_FLOW else {}
    return Op(name, "other", everything, outputs, None, variant, found)


def _understood(operator: Operator, rule: _Rule, op: Op) -> Op:
    kind = _kind(operator, rule)
    first = operator.shape(operands_of(operator)[0])
    if len(operator.inputs) < _FEWEST.get(kind, 1) or len(first) < _LEAST_RANK.get(kind, 0):
        raise ValueError("too few operands or axes")
    if rule.kind != "reshape" and not _is_steered_by_constants(operator, rule):
        raise ValueError("what says how to compute is computed")
    window = window_of(kind, operator) if kind in _WINDOWED else None
    found = attributes_of(kind, operator)
    variant = found.pop("variant", rule.variant)
    return Op(op.name, kind, op.inputs, op.outputs, window, variant, found)


def _is_steered_by_constants(operator: Operator, rule: _Rule) -> bool:
    """Whether all inputs that are no operands are constant."""
    if rule.operands is None:
        return True
    rest = (index for position, index in enumerate(operator.inputs) if position not in rule.operands)
    return all(index < 0 or operator.tensors.is_constant(index) for index in rest)


def _kind(operator: Operator, rule: _Rule) -> str:
    if rule.kind == "conv" and operator.builtin == "CONV_2D" and groups_of(operator) > 1 == operator.shape(1)[3]:
        return "depthwise_conv"
    if operator.builtin == "PRELU" and not operator.tensors.is_constant(operator.input(1)):
        return "binary"
    weight = operator.input(1)
    if rule.kind == "matmul" and weight >= 0 and operator.tensors.is_constant(weight):
        return "fully_connected"
    return rule.kind
