"""Which kernel of TensorFlow Lite Micro runs an op, and which ops it can't run."""

from collections.abc import Mapping
from types import MappingProxyType

from edgewright.errors import UnsupportedModelError
from edgewright.graph.types import Graph, Op
from edgewright.memory.tflm.kernels import KERNELS, Kernel

MOST_JOINED = 10
"""The most inputs of a concatenation that the kernel takes."""

_BY_KIND: Mapping[str, str] = MappingProxyType(
    {
        "conv": "CONV_2D", "depthwise_conv": "DEPTHWISE_CONV_2D", "transposed_conv": "TRANSPOSE_CONV",
        "fully_connected": "FULLY_CONNECTED", "max_pool": "MAX_POOL_2D",
        "average_pool": "AVERAGE_POOL_2D", "concat": "CONCATENATION", "slice": "SLICE", "transpose": "TRANSPOSE",
        "quantize": "QUANTIZE", "dequantize": "DEQUANTIZE", "cast": "CAST",
    }
)  # fmt: skip
_BY_VARIANT: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("unary", "sigmoid"): "LOGISTIC", ("unary", "clip"): "RELU6", ("unary", "not"): "LOGICAL_NOT",
        ("binary", "max"): "MAXIMUM", ("binary", "min"): "MINIMUM", ("binary", "and"): "LOGICAL_AND",
        ("binary", "or"): "LOGICAL_OR", ("binary", "where"): "SELECT_V2", ("binary", "mod"): "FLOOR_MOD",
        ("reduction", "max"): "REDUCE_MAX", ("reduction", "min"): "REDUCE_MIN",
        ("resize", "linear"): "RESIZE_BILINEAR", ("resize", "nearest"): "RESIZE_NEAREST_NEIGHBOR",
        ("pad", "reflect"): "MIRROR_PAD", ("pad", "symmetric"): "MIRROR_PAD", ("pad", "constant"): "PAD",
    }
)  # fmt: skip
_PARAMETERS: Mapping[str, int] = MappingProxyType(
    {"SLICE": 2, "STRIDED_SLICE": 3, "PAD": 1, "PADV2": 2, "MIRROR_PAD": 1, "RESHAPE": 1, "EXPAND_DIMS": 1, "MEAN": 1,
     "SUM": 1, "REDUCE_MAX": 1, "REDUCE_MIN": 1, "ARG_MAX": 1, "ARG_MIN": 1, "TRANSPOSE": 1, "TRANSPOSE_CONV": 1,
     "SPLIT": 1, "SPLIT_V": 2, "RESIZE_BILINEAR": 1, "RESIZE_NEAREST_NEIGHBOR": 1, "BROADCAST_TO": 1}
)  # fmt: skip
"""Constants of the file that say how an op computes; a graph has their values, and not the tensors."""

_FLOATS_ONLY = frozenset({"EXP", "CEIL", "ROUND", "L2_POOL_2D", "SQRT", "SQUARE", "LOG", "SIN", "COS", "NEG", "FLOOR"})
_NO_INT16 = frozenset(
    {"DIV", "REDUCE_MAX", "REDUCE_MIN", "LOG_SOFTMAX", "MIRROR_PAD", "ELU", "HARD_SWISH", "ZEROS_LIKE", "PRELU",
     "GATHER", "RESIZE_BILINEAR", "ARG_MAX", "ARG_MIN", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH", "L2_NORMALIZATION"}
)  # fmt: skip
_NARROW = frozenset({"int8", "uint8", "int16", "int4"})


def kernel_name(op: Op) -> str:
    """The name of an op in TFLite's schema: its attribute `stored_as`, else as far as kind and variant tell it."""
    stored = op.attributes.get("stored_as")
    if stored is not None:
        return str(stored)
    known = _BY_KIND.get(op.kind) or _BY_VARIANT.get((op.kind, op.variant)) or op.variant.upper()
    return known or op.kind.upper()


def kernel_of(op: Op, graph: Graph) -> Kernel:
    """What the kernel of an op allocates. Raises UnsupportedModelError for an op that TFLM can't run."""
    return KERNELS[_checked(op, graph)]


def stored_parameters(op: Op) -> int:
    """Constants of the file that a graph does not have among its tensors."""
    return _PARAMETERS.get(kernel_name(op), 0)


def check(graph: Graph) -> None:
    """Raises UnsupportedModelError, which names the op, where TFLM can't run a network."""
    for op in graph.ops:
        _checked(op, graph)


def _checked(op: Op, graph: Graph) -> str:
    name, reason = kernel_name(op), ""
    given = [graph.tensors[one].dtype for one in op.operands if one]
    if name not in KERNELS:
        reason = "has no kernel that is known here"
    elif name == "DEQUANTIZE" and given[0] not in _NARROW:
        reason = f"does not take {given[0]} weights"
    elif op.kind in {"conv", "depthwise_conv", "fully_connected"} and given[0] == "float32" != given[1]:
        reason = f"does not take {given[1]} weights with float activations"
    elif name == "CONCATENATION" and len(given) > MOST_JOINED:
        reason = f"joins at most {MOST_JOINED} tensors, not {len(given)}"
    elif (name in _FLOATS_ONLY and given[0] in _NARROW) or (name in _NO_INT16 and given[0] == "int16"):
        reason = f"does not take {given[0]}"
    if reason:
        raise UnsupportedModelError(f"op {op.name!r} can't run on TensorFlow Lite Micro: {name} {reason}")
    return name
